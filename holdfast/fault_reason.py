"""Reasons why a model did not answer."""

from __future__ import annotations

import enum


class FaultReason(enum.StrEnum):
    """Why a model did not answer, in one word; see `ModelError.reason`."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BROKEN_REPLY = "broken_reply"
    BREAKER_OPEN = "breaker_open"
    NO_CREDIT = "no_credit"
    REFUSED = "refused"
    CONTEXT_OVERFLOW = "context_overflow"

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self not in (self.NO_CREDIT, self.REFUSED, self.CONTEXT_OVERFLOW)

    @property
    def words(self) -> str:
        """The reason for people."""
        return self.value.replace("_", " ")
