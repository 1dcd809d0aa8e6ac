"""OpenTelemetry spans of runs, model calls, tool calls and checks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from cachetools import FIFOCache
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context as TraceContext
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio import activity
from typing_extensions import override

from holdfast._version import __version__
from holdfast.invocations import ToolInvocation
from holdfast.ports.telemetry import Check, CheckObservation, ModelObservation, Telemetry, ToolObservation
from holdfast.protocol import ModelCall
from holdfast.telemetry import attributes as names
from holdfast.telemetry.call_spans import CheckSpan, ModelSpan, ToolSpan, mark_failed, told, usage_attributes
from holdfast.telemetry.content import text_json
from holdfast.telemetry.providers import Providers
from holdfast.telemetry.run_trace import RunTrace
from holdfast.telemetry.span_ids import RunSpanIds
from holdfast.types import EntryBatch, MirroredRun, RunStatus, RunSummary, ToolSpec

FLUSH_TIMEOUT = 0.25  # seconds that the end of a run waits until its span is sent, so that a crash does not lose it
MAX_WRITTEN = 10_000  # ends of runs that a worker remembers
TRACED: ContextVar[RunTrace | None] = ContextVar("traced_run", default=None)
"""The trace of the run whose activity is executed; `None` if it is not traced."""
ENDED_BADLY = {RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.TERMINATED}
FindTrace = Callable[[MirroredRun], Awaitable[RunTrace | None]]


class Tracing(Telemetry):
    """Spans of runs: one for each run, at its end, and one for each attempt of a call or a check.

    Spans of calls begin and end in activities; they are children of the run's span, whose id is derived from the run.

    Args:
        provider: sends spans; its ids come from `ids`.
        ids: chooses the ids of runs' spans.
        providers: of the models.
        find_trace: finds the trace of a run without its activities; `None` if it is not known.
        with_content: whether spans have prompts, arguments, results and messages of errors.
    """

    def __init__(
        self,
        provider: TracerProvider,
        ids: RunSpanIds,
        *,
        providers: Providers,
        find_trace: FindTrace,
        with_content: bool = False,
    ) -> None:
        self._provider = provider
        self._ids = ids
        self._tracer = provider.get_tracer("holdfast", __version__, schema_url=names.SCHEMA_URL)
        self._providers = providers
        self._find_trace = find_trace
        self._with_content = with_content
        self._written: FIFOCache[tuple[str, str | None], bool] = FIFOCache(MAX_WRITTEN)
        self._flush: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        """Sends what ended after `_flush` had begun."""

    @contextmanager
    def enter(self, run: RunTrace | None) -> Iterator[None]:
        """Makes the span of a run current while one of its activities is executed."""
        if run is None:
            yield
            return
        known, attached = TRACED.set(run), contexts.attach(self._context(run.trace_id, run.span_id))
        try:
            yield
        finally:
            contexts.detach(attached)
            TRACED.reset(known)

    @override
    def model_call(self, call: ModelCall) -> AbstractContextManager[ModelObservation]:
        return self._model_call(call) if TRACED.get() else nullcontext(ModelObservation())

    @contextmanager
    def _model_call(self, call: ModelCall) -> Iterator[ModelObservation]:
        observation = ModelSpan(call, self._start, self._providers, with_content=self._with_content)
        try:
            yield observation
        finally:
            observation.end()

    @override
    def tool_call(self, invocation: ToolInvocation, tool: ToolSpec) -> AbstractContextManager[ToolObservation]:
        return self._tool_call(invocation, tool) if TRACED.get() else nullcontext(ToolObservation())

    @contextmanager
    def _tool_call(self, invocation: ToolInvocation, tool: ToolSpec) -> Iterator[ToolObservation]:
        observation = ToolSpan(invocation, tool, self._start, with_content=self._with_content)
        try:
            yield observation
        finally:
            observation.end()

    @override
    def check(self, check: Check) -> AbstractContextManager[CheckObservation]:
        return self._check(check) if TRACED.get() else nullcontext(CheckObservation())

    @contextmanager
    def _check(self, check: Check) -> Iterator[CheckObservation]:
        observation = CheckSpan(check, self._start, with_content=self._with_content)
        try:
            yield observation
        finally:
            observation.end()

    @override
    def mirrored(self, batch: EntryBatch) -> None:
        pass

    @override
    def not_mirrored(self) -> None:
        pass

    @override
    async def run_ended(self, batch: EntryBatch) -> None:
        run, key = TRACED.get(), (batch.chain, activity.info().workflow_run_id)
        if run is None or key in self._written:  # an attempt whose result Temporal has not received has written it
            return
        self._written[key] = True
        answer = batch.entries[-1].data.get("result", {}).get("output", "")
        self._write_run(run, batch.summary, answer)
        await self._flushed()

    @override
    async def run_ended_outside(self, run: MirroredRun) -> None:
        found = await self._find_trace(run)
        if found is not None:
            self._write_run(found, run.summary, "")

    def _write_run(self, run: RunTrace, summary: RunSummary, answer: str) -> None:
        parent = self._context(run.trace_id, run.parent_id) if run.parent_id else TraceContext()
        with self._ids.chosen(run.trace_id, run.span_id):
            span = self._tracer.start_span(
                f"{names.INVOKE_AGENT} {summary.agent}",
                parent,
                links=_links(run.link),
                start_time=_nanoseconds(summary.started_at),
                attributes=told(
                    {
                        names.OPERATION: names.INVOKE_AGENT,
                        names.AGENT: summary.agent,
                        names.CONVERSATION: summary.run_id,
                        names.RESPONSE_MODEL: summary.model,
                        names.STATUS: summary.status.value,
                        names.TURNS: summary.turn,
                        names.TOOL_CALLS: summary.tool_calls,
                        names.PARENT_RUN: summary.parent,
                        names.FORKED_FROM: summary.forked.run if summary.forked else None,
                    }
                ),
            )
        span.set_attributes(usage_attributes(summary.usage))
        if self._with_content:
            span.set_attribute(names.INPUT_MESSAGES, text_json("user", summary.input))
            span.set_attribute(names.OUTPUT_MESSAGES, text_json("assistant", answer))
        if summary.status in ENDED_BADLY:
            error = summary.error
            kind, message = (error.type, error.message) if error else (summary.status.value, "")
            mark_failed(span, kind, message if self._with_content else "")
        span.end(_nanoseconds(summary.finished_at or datetime.now(summary.started_at.tzinfo)))

    async def _flushed(self) -> None:
        """Waits briefly until what has ended so far is sent; runs that end at the same time share a request."""
        running = self._flush
        if running is None or running.done():
            self._flush = running = asyncio.create_task(self._send())
        elif self._next is None:
            self._next = asyncio.create_task(self._send_after(running))
        await asyncio.wait([self._next or running], timeout=FLUSH_TIMEOUT)

    async def _send(self) -> None:
        # Not `to_thread`, which copies the context: what the exporter logs does not concern this run.
        await asyncio.get_running_loop().run_in_executor(None, self._provider.force_flush)

    async def _send_after(self, running: asyncio.Task[None]) -> None:
        await asyncio.wait([running])
        self._flush, self._next = self._next, None
        await self._send()

    def _context(self, trace_id: str, span_id: str) -> TraceContext:
        """Returns a context whose current span is one that is written elsewhere."""
        flags = TraceFlags(TraceFlags.SAMPLED if self._is_sampled(trace_id) else TraceFlags.DEFAULT)
        remote = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)
        return trace.set_span_in_context(NonRecordingSpan(remote), TraceContext())

    def _is_sampled(self, trace_id: str) -> bool:
        """Whether a trace is sampled; samplers decide by its id, so that all workers decide the same."""
        decision = self._provider.sampler.should_sample(None, int(trace_id, 16), names.INVOKE_AGENT).decision
        return decision == Decision.RECORD_AND_SAMPLE

    def _start(self, name: str, kind: SpanKind, attributes: dict[str, Any]) -> Span:
        return self._tracer.start_span(
            name,
            kind=kind,
            attributes=told(attributes),
            record_exception=False,  # its message may quote content
            set_status_on_exception=False,
        )


def _links(traceparent: str | None) -> list[Link]:
    if traceparent is None:
        return []
    context = TraceContextTextMapPropagator().extract({"traceparent": traceparent}, TraceContext())
    return [Link(trace.get_current_span(context).get_span_context())]


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
