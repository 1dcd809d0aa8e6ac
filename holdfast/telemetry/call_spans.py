"""Spans of model calls, tool calls and checks, which begin and end within an activity."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from temporalio import activity
from typing_extensions import override

from holdfast.invocations import ToolInvocation
from holdfast.model_reply import ModelReply
from holdfast.ports.telemetry import Check, CheckObservation, ModelObservation, ToolObservation
from holdfast.protocol import ModelCall
from holdfast.telemetry import attributes as names
from holdfast.telemetry.content import input_json, output_json, system_json
from holdfast.telemetry.providers import Providers
from holdfast.types import Context, ToolResult, ToolSpec, Usage

Start = Callable[[str, SpanKind, dict[str, Any]], Span]


class CurrentSpan:
    """The span of a call, current from its start to its end."""

    def __init__(self, start: Start, *, with_content: bool) -> None:
        self._start = start
        self._with_content = with_content
        self._span: Span | None = None
        self._leave: Callable[[], None] | None = None

    def begin(self, name: str, kind: SpanKind, attributes: dict[str, Any]) -> Span:
        """Starts the span, in place of an earlier one."""
        self.end()
        self._span = span = self._start(name, kind, attributes)
        token = contexts.attach(trace.set_span_in_context(span))
        self._leave = functools.partial(contexts.detach, token)
        return span

    def fail(self, kind: str, message: str = "") -> None:
        """Marks the span as failed."""
        if self._span is not None:
            mark_failed(self._span, kind, message if self._with_content else "")

    def end(self) -> None:
        """Ends the span and sends it."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        if self._span is not None:
            self._span.end()
            self._span = None

    def drop(self) -> None:
        """Forgets the span, which is then not sent."""
        self._span = None


class ModelSpan(ModelObservation):
    """The span of an attempt of a model call, from the request to the reply."""

    def __init__(self, call: ModelCall, start: Start, providers: Providers, *, with_content: bool) -> None:
        self._call = call
        self._providers = providers
        self._with_content = with_content
        self._current = CurrentSpan(start, with_content=with_content)
        self._span: Span | None = None
        self.end = self._current.end

    @override
    def asks(self, context: Context) -> None:
        model = next(iter(context.spec.models), self._providers.default_model)
        self._span = self._current.begin(
            f"{names.CHAT} {model}",
            SpanKind.CLIENT,
            {
                names.OPERATION: names.CHAT,
                names.PROVIDER: self._providers.name_of(model),
                names.SERVER: self._providers.server_of(model),
                names.REQUEST_MODEL: model,
                names.AGENT: context.spec.name,
                names.AGENT_VERSION: None if context.spec.version is None else str(context.spec.version),
                names.CONVERSATION: self._call.run_id,
                names.TURN: self._call.turn,
                names.ATTEMPT: activity.info().attempt + self._call.earlier_attempts,
            },
        )
        if self._with_content:
            self._span.set_attribute(names.SYSTEM_INSTRUCTIONS, system_json(context.messages))
            self._span.set_attribute(names.INPUT_MESSAGES, input_json(context.messages))

    @override
    def replied(self, reply: ModelReply) -> None:
        if self._span is None:
            return
        self._span.set_attributes(
            {
                names.RESPONSE_MODEL: reply.model,
                names.FINISH_REASONS: [reply.finish_reason],
                **usage_attributes(reply.usage),
            }
        )
        if reply.tried:
            self._span.set_attribute(names.TRIED, [tried.model for tried in reply.tried])
        if self._with_content:
            self._span.set_attribute(names.OUTPUT_MESSAGES, output_json(reply))

    @override
    def failed(self, kind: str) -> None:
        self._current.fail(kind)


class ToolSpan(ToolObservation):
    """The span of an attempt of a tool call."""

    def __init__(self, invocation: ToolInvocation, tool: ToolSpec, start: Start, *, with_content: bool) -> None:
        self._with_content = with_content
        self._current = CurrentSpan(start, with_content=with_content)
        self.end = self._current.end
        self._span = self._current.begin(
            f"{names.EXECUTE_TOOL} {tool.name}",
            SpanKind.INTERNAL,
            {
                names.OPERATION: names.EXECUTE_TOOL,
                names.TOOL: tool.name,
                names.TOOL_TYPE: "function",
                names.TOOL_CALL: invocation.call.id,
                names.AGENT: invocation.agent,
                names.CONVERSATION: invocation.run_id,
                names.TURN: invocation.turn,
                names.ATTEMPT: activity.info().attempt,
            },
        )
        if with_content:
            self._span.set_attribute(names.TOOL_ARGUMENTS, invocation.call.arguments)

    @override
    def returned(self, result: ToolResult) -> None:
        if result.outcome is not None:
            self._span.set_attribute(names.OUTCOME, str(result.outcome))
        if self._with_content:
            self._span.set_attribute(names.TOOL_RESULT, result.content)
        if result.error is not None:
            self._current.fail("tool_error", result.error)

    @override
    def failed(self, kind: str) -> None:
        self._current.fail(kind)

    @override
    def not_made(self) -> None:
        self._current.drop()


class CheckSpan(CheckObservation):
    """The span of an attempt of a guard or a validation."""

    def __init__(self, check: Check, start: Start, *, with_content: bool) -> None:
        self._with_content = with_content
        self._current = CurrentSpan(start, with_content=with_content)
        self.end = self._current.end
        self._span = self._current.begin(
            f"{check.operation} {check.name}",
            SpanKind.INTERNAL,
            {
                names.OPERATION: check.operation,
                names.AGENT: check.asked.agent,
                names.CONVERSATION: check.asked.run_id,
                names.TURN: check.asked.turn,
                names.ATTEMPT: activity.info().attempt,
                names.CHECK_ON: check.on,
            },
        )
        if with_content:
            self._span.set_attribute(names.CHECK_TEXT, check.text)

    @override
    def ended(self, verdict: str, reason: str = "") -> None:
        self._span.set_attribute(names.CHECK_VERDICT, verdict)
        if self._with_content and reason:
            self._span.set_attribute(names.CHECK_REASON, reason)

    @override
    def failed(self, kind: str) -> None:
        self._current.fail(kind)


def mark_failed(span: Span, kind: str, message: str) -> None:
    """Marks a span as failed.

    Args:
        span: the span.
        kind: one of few words.
        message: may quote content; empty means that it is left out.
    """
    span.set_attribute(names.ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR, message or None))


def usage_attributes(usage: Usage) -> dict[str, Any]:
    """Returns tokens and cost, if that is known."""
    found: dict[str, Any] = {
        names.INPUT_TOKENS: usage.input_tokens,
        names.CACHED_TOKENS: usage.cached_tokens,
        names.OUTPUT_TOKENS: usage.output_tokens,
    }
    return found if usage.unpriced and not usage.cost_usd else {**found, names.COST: usage.cost_usd}


def told(attributes: dict[str, Any]) -> dict[str, Any]:
    """Returns the attributes that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}
