"""Place of a run in its trace, derived from the run, so that every worker and every replay knows the same one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter

from holdfast.names import TRACE_HEADER, TRACE_LINK_HEADER

TRACE_ID, SPAN_ID = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{16}")
TRACEPARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
NO_SPAN = "0" * 16
"""A span id that is not valid: what would be below it begins a trace."""

Headers = Mapping[str, Payload]


@dataclass(frozen=True)
class RunTrace:
    """Where the spans of a run belong."""

    trace_id: str
    """32 hexadecimal digits; a child run has that of its parent."""
    span_id: str
    """Of the run's own span: 16 hexadecimal digits."""
    parent_id: str | None = None
    """Span of the parent run; `None` if the run is the root of its trace."""
    link: str | None = None
    """W3C trace context of the span in which a client has started the run."""

    @property
    def of_children(self) -> TraceOrigin:
        """What a child run is told."""
        return TraceOrigin(trace_id=self.trace_id, parent_id=self.span_id)

    @property
    def of_next_execution(self) -> TraceOrigin:
        """What the run tells the execution that continues it."""
        return TraceOrigin(self.trace_id, self.parent_id, self.link)

    def headers(self, others: Headers) -> Headers:
        """Returns the headers of an activity."""
        return _with(others, asdict(self))

    @classmethod
    def of_activity(cls, headers: Headers) -> Self | None:
        """Returns the trace in the headers of an activity; `None` if its run is not traced."""
        fields = _fields(headers)
        trace_id, span_id = _id(TRACE_ID, fields.get("trace_id")), _id(SPAN_ID, fields.get("span_id"))
        if trace_id is None or span_id is None:
            return None
        return cls(trace_id, span_id, _id(SPAN_ID, fields.get("parent_id")), _id(TRACEPARENT, fields.get("link")))


@dataclass(frozen=True)
class TraceOrigin:
    """What a run is told of its trace when it starts; a root run without a link is told nothing."""

    trace_id: str | None = None
    parent_id: str | None = None
    link: str | None = None

    def run(self, chain: str) -> RunTrace:
        """Returns the trace of a run.

        Args:
            chain: Temporal's id of the run's first execution, which all executions of the run share.
        """
        return RunTrace(
            self.trace_id or _derived(chain, "trace", 32), _derived(chain, "run", 16), self.parent_id, self.link
        )

    def tool_run(self, chain: str) -> RunTrace:
        """Returns the trace of a tool call without a run: it is below the caller's span, or has a trace of its own."""
        caller = TRACEPARENT.fullmatch(self.link or "")
        return RunTrace(caller[1], caller[2]) if caller else RunTrace(_derived(chain, "trace", 32), NO_SPAN)

    def headers(self, others: Headers) -> Headers:
        """Returns the headers of a workflow."""
        return _with(others, asdict(self))

    @classmethod
    def of_start(cls, headers: Headers) -> TraceOrigin:
        """Returns what the headers of a run say."""
        fields = _fields(headers)
        trace_id, parent_id = _id(TRACE_ID, fields.get("trace_id")), _id(SPAN_ID, fields.get("parent_id"))
        link = fields.get("link") or _decoded(headers.get(TRACE_LINK_HEADER))
        return cls(trace_id, parent_id if trace_id else None, _id(TRACEPARENT, link))


def _derived(chain: str, what: str, digits: int) -> str:
    return hashlib.sha256(f"holdfast {what} {chain}".encode()).hexdigest()[:digits]


def _id(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _with(headers: Headers, fields: Mapping[str, Any]) -> Headers:
    told = {name: value for name, value in fields.items() if value is not None}
    return {**headers, TRACE_HEADER: PayloadConverter.default.to_payload(told)}


def _fields(headers: Headers) -> Mapping[str, Any]:
    fields = _decoded(headers.get(TRACE_HEADER))
    return fields if isinstance(fields, dict) else {}


def _decoded(payload: Payload | None) -> Any:
    """Returns the value of a header; `None` if it has none that can be read."""
    try:
        return None if payload is None else PayloadConverter.default.from_payload(payload)
    except Exception:  # noqa: BLE001 - another program may have written it
        return None
