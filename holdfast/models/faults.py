"""Classification of a provider's errors: retry, fail, or shrink the context. No I/O."""

from __future__ import annotations

import email.utils
import http
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import ContextOverflow, ModelError, ModelRefused, ModelUnavailable, OutOfCredit
from holdfast.fault_reason import FaultReason
from holdfast.models.overflow import overflow_tokens

MAX_RETRY_AFTER = 86_400.0  # seconds; no run waits for longer, and an absurd number must not overflow
_YEAR_2001, _YEAR_2100 = 1.0e9, 4.1e9  # in seconds since 1970

MAX_WORDS = 600  # characters of the provider's message that are quoted; error pages can be long

_OVERFLOW_CODES = frozenset({"context_length_exceeded", "context_window_exceeded"})
_OVERFLOW_WORDS = re.compile(
    r"maximum context length|context[ _](?:window|length|size)|too many (?:input )?tokens|prompt is too long"
    r"|maximum number of tokens|reduce the length of the (?:messages|input)",
    re.IGNORECASE,
)
_TOO_LARGE_WORDS = re.compile(r"request too large", re.IGNORECASE)
"""Of a 429: the request alone exceeds the tokens that are allowed per minute."""
_OVERFLOW_STATUSES = frozenset({None, 400, 413, 422})

_QUOTA_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "budget_exceeded", "credits_exhausted"}
)
_QUOTA_WORDS = re.compile(
    r"exceeded your current quota|insufficient (?:quota|credits?|balance|funds)|credit balance is too low"
    r"|budget has been exceeded|out of credits|limit: 0\b",
    re.IGNORECASE,
)
_QUOTA_STATUSES = frozenset({None, 400, 402, 403, 429})
_RETRY_WORDS = re.compile(r"(?:retry|try again) (?:in|after) |retrydelay", re.IGNORECASE)
"""What says that a quota is one per minute or per day."""
_TEMPORARY_STATUSES = frozenset({408, 409, 425, 429})
_REFUSAL_CODES = frozenset(
    {
        "authentication_error",
        "content_policy_violation",
        "invalid_api_key",
        "invalid_request_error",
        "model_not_found",
        "not_found_error",
        "permission_error",
    }
)
_OUTAGE = re.compile(
    r"server|overload|rate.?limit|too.?many|timed?.?out|unavailable|capacity|internal|api_error", re.IGNORECASE
)
"""What names an outage, in the code or the words of an error without a status."""
_RATE_WORDS = re.compile(r"rate.?limit|too.?many.?requests", re.IGNORECASE)
DOUBTFUL_ATTEMPTS = 5
"""Attempts of a call whose replies are not usable: unlike an outage, that may last, and each may be billed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that a provider reported."""

    words: str
    """Its message, on one line; may be empty."""
    status: int | None = None
    """HTTP status, or the one in an error inside the stream; `None` if there is none."""
    codes: frozenset[str] = frozenset()
    """Its `code` and `type`."""
    retry_after: float | None = None
    """Seconds to wait before another attempt; `None` if the provider names none."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The error as the provider sent it; empty if it is not an object."""

    @classmethod
    def parse(cls, body: object, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> Fault:
        """Parses an `error` object, or a body of any other form."""
        body = _inner(body)
        fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
        codes = frozenset(str(fields[key]) for key in ("code", "type") if fields.get(key))
        return cls(
            words=_words(body),
            status=status or next((int(code) for code in codes if re.fullmatch(r"[45]\d\d", code)), None),
            codes=codes,
            retry_after=parse_retry_after(headers or {}),
            fields=fields,
        )

    def error(self, *, model: str, key_variable: str, url_variable: str = "OPENAI_BASE_URL") -> ModelError:
        """Returns the error that a model call raises.

        Args:
            model: the model that was asked.
            key_variable: the setting that holds the API key, for advice.
            url_variable: the setting that names the endpoint, for advice.
        """
        told = f"{self._place}: {self.words or self._phrase}"
        if self._is_overflow:
            limit, size = overflow_tokens(self.words, self.fields)
            return ContextOverflow(f"the context is too large for model {model!r} ({told})", limit=limit, size=size)
        if self._is_refusal:
            kind = OutOfCredit if self._is_out_of_credit else ModelRefused
            return kind(
                f"the provider refused the request to model {model!r} ({told}){self._hint(key_variable, url_variable)}"
            )
        message = f"the provider could not answer for model {model!r} just now ({told})"
        if self._is_doubtful:
            return ModelUnavailable(
                f"{message}; check {url_variable}", max_attempts=DOUBTFUL_ATTEMPTS, reason=FaultReason.BROKEN_REPLY
            )
        return ModelUnavailable(message, self.retry_after, reason=self._reason)

    @property
    def _reason(self) -> FaultReason:
        """Why the provider cannot answer for now."""
        match self.status:
            case http.HTTPStatus.TOO_MANY_REQUESTS:
                return FaultReason.RATE_LIMITED
            case http.HTTPStatus.REQUEST_TIMEOUT | http.HTTPStatus.GATEWAY_TIMEOUT:
                return FaultReason.TIMEOUT
            case None if any(_RATE_WORDS.search(text) for text in (*self.codes, self.words)):
                return FaultReason.RATE_LIMITED
        return FaultReason.SERVER_ERROR

    @property
    def _is_overflow(self) -> bool:
        if self.codes & _OVERFLOW_CODES or self.status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return True
        if self.status == http.HTTPStatus.TOO_MANY_REQUESTS:
            return bool(_TOO_LARGE_WORDS.search(self.words))
        return self.status in _OVERFLOW_STATUSES and bool(_OVERFLOW_WORDS.search(self.words))

    @property
    def _is_out_of_credit(self) -> bool:
        if self.codes & _QUOTA_CODES or self.status == http.HTTPStatus.PAYMENT_REQUIRED:
            return True
        if self.retry_after is not None or _RETRY_WORDS.search(self.words):
            return False
        return self.status in _QUOTA_STATUSES and bool(_QUOTA_WORDS.search(self.words))

    @property
    def _is_refusal(self) -> bool:
        if self._is_out_of_credit:
            return True
        if self.status is None:
            return bool(self.codes & _REFUSAL_CODES)
        return self.status < http.HTTPStatus.INTERNAL_SERVER_ERROR and self.status not in _TEMPORARY_STATUSES

    @property
    def _is_doubtful(self) -> bool:
        """Whether nothing says that it is an outage: some servers answer any request with an error of their own."""
        return self.status is None and not any(_OUTAGE.search(text) for text in (*self.codes, self.words))

    @property
    def _place(self) -> str:
        return f"status {self.status}" if self.status else "error inside the stream"

    @property
    def _phrase(self) -> str:
        try:
            return http.HTTPStatus(self.status or 0).phrase
        except ValueError:
            return "it gave no reason"

    def _hint(self, key_variable: str, url_variable: str) -> str:
        if self._is_out_of_credit:
            return f"; add credit to the account of {key_variable}"
        match self.status:
            case http.HTTPStatus.UNAUTHORIZED:
                return f"; check {key_variable}"
            case http.HTTPStatus.FORBIDDEN:
                return f"; check that {key_variable} may use this model"
            case http.HTTPStatus.NOT_FOUND:
                return f"; check the model's name and {url_variable}"
        return ""


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds to wait, from 0 to `MAX_RETRY_AFTER`; `None` if the headers name none that can be read.

    They are in `retry-after-ms`, or in `retry-after` as seconds or as a date. Some providers send a time since 1970, in
    seconds or milliseconds.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return _bounded(_relative(seconds))
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return _bounded(date.timestamp() - time.time())
    except (ValueError, OverflowError, TypeError):
        return None


def _relative(seconds: float) -> float:
    """Returns seconds from now, also for a time since 1970."""
    for unit in (1.0, 0.001):
        if seconds * unit > _YEAR_2001 and seconds * unit < _YEAR_2100:
            return seconds * unit - time.time()
    return seconds


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), MAX_RETRY_AFTER)


def _inner(body: object) -> object:
    """Returns the error object in a body: some providers put it into a list, or into one more object."""
    while isinstance(body, list) and len(body) == 1:
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return body["error"]
    return body


def _words(body: object) -> str:
    """Returns the readable part of an error body, on one line."""
    if isinstance(body, dict):
        text = body.get("message") or body.get("detail") or json.dumps(body)
        metadata = body.get("metadata")
        if isinstance(metadata, dict) and metadata.get("raw"):  # a router's error carries the real provider's within
            text = f"{text}: {metadata['raw']}"
    else:
        text = body or ""
    line = " ".join(str(text).split())
    if line.startswith("<"):
        return ""  # a proxy's HTML page tells a person less than the status
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}…"
