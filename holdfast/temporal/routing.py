"""What travels inside Temporal and what only as a reference: one rule, which codec and storage share."""

from __future__ import annotations

from temporalio.api.common.v1 import Payload

THRESHOLD = 128 * 1024
"""Bytes; from here on Temporal's history holds a reference. Below, the round trips would cost more than they save."""

INLINE_LIMIT = 1_000_000
"""Bytes that may travel inside Temporal where they must: it ends a workflow at 2 MB, and base64 adds a third."""

ANSWER_MARK = "holdfast-answer"
"""Metadata of what answers a query: nobody will ask for it again, so it is not stored where that can be helped."""


def goes_to_storage(payload: Payload) -> bool:
    """Whether a payload is stored apart, as it is or encrypted."""
    size: int = payload.ByteSize()
    return size >= (INLINE_LIMIT if ANSWER_MARK in payload.metadata else THRESHOLD)
