"""The rule for which payloads are stored outside of Temporal; the codec and the storage driver share it."""

from __future__ import annotations

from temporalio.api.common.v1 import Payload

THRESHOLD = 128 * 1024
"""Bytes from which on Temporal's history has a reference only. For smaller payloads, the round trips cost more than
they save."""

INLINE_LIMIT = 1_000_000
"""Maximum bytes of a payload that must stay in Temporal, which terminates a workflow at 2 MB; base64 adds a third."""

ANSWER_MARK = "holdfast-answer"
"""Metadata of query results, which are read only once and therefore not stored if possible."""


def goes_to_storage(payload: Payload) -> bool:
    """Whether a payload is stored outside of Temporal, encrypted or not."""
    size: int = payload.ByteSize()
    return size >= (INLINE_LIMIT if ANSWER_MARK in payload.metadata else THRESHOLD)
