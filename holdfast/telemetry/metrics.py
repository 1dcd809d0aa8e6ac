"""Metrics of a worker, through the meter of Temporal's SDK."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime

from cachetools import FIFOCache
from temporalio import activity
from temporalio.common import MetricMeter
from typing_extensions import override

from holdfast.invocations import ToolInvocation
from holdfast.model_reply import ModelReply
from holdfast.ports.telemetry import Check, CheckObservation, ModelObservation, Telemetry, ToolObservation
from holdfast.protocol import ModelCall
from holdfast.telemetry import metric_names as names
from holdfast.types import Context, EntryBatch, MirroredRun, RunSummary, ToolResult, ToolSpec, Usage

MAX_VALUES = 200
"""Values of one label; a client may define agents, and a provider name models, without limit."""
OTHER = "other"
MAX_ENDED = 10_000  # ends of runs that a worker remembers


class Labels:
    """Values of labels; only the first `MAX_VALUES` of each label are kept apart."""

    def __init__(self) -> None:
        self._known: defaultdict[str, set[str]] = defaultdict(set)

    def bounded(self, **labels: str) -> Mapping[str, str]:
        """Returns labels whose number of values is bounded."""
        return {name: self._bounded(name, value) for name, value in labels.items()}

    def _bounded(self, name: str, value: str) -> str:
        known = self._known[name]
        if value not in known:
            if len(known) >= MAX_VALUES:
                return OTHER
            known.add(value)
        return value


class Metrics(Telemetry):
    """Counts what this worker does.

    Args:
        meter: of Temporal's SDK.
        default_model: answers if an agent names no model.
    """

    def __init__(self, meter: MetricMeter, default_model: str) -> None:
        self._default_model = default_model
        self._labels = Labels()
        self._ended: FIFOCache[tuple[str, str | None], bool] = FIFOCache(MAX_ENDED)
        self._turns = meter.create_counter(names.TURNS, "Turns: model calls that were answered")
        self._model_calls = meter.create_counter(names.MODEL_CALLS, "Attempts of model calls, with failed ones")
        self._model_errors = meter.create_counter(names.MODEL_ERRORS, "Attempts of model calls that failed")
        self._model_seconds = meter.create_histogram_float(names.MODEL_SECONDS, "Seconds of answered model calls")
        self._tokens = meter.create_counter(names.TOKENS, "Tokens: input, the cached part of it, and output")
        self._cost = meter.create_histogram_float(names.COST, "US dollars of each model call whose price is known")
        self._tool_calls = meter.create_counter(names.TOOL_CALLS, "Attempts of tool calls, with failed ones")
        self._tool_errors = meter.create_counter(names.TOOL_ERRORS, "Attempts of tool calls that failed")
        self._tool_seconds = meter.create_histogram_float(names.TOOL_SECONDS, "Seconds of tool calls")
        self._runs_ended = meter.create_counter(names.RUNS_ENDED, "Runs that ended")
        self._lag = meter.create_histogram_float(names.MIRROR_LAG, "Seconds from an entry of a run to its row")
        self._lag_errors = meter.create_counter(names.MIRROR_ERRORS, "Appends to the mirror that failed")

    @contextmanager
    @override
    def model_call(self, call: ModelCall) -> Iterator[ModelObservation]:
        yield _ModelCount(self)

    @contextmanager
    @override
    def tool_call(self, invocation: ToolInvocation, tool: ToolSpec) -> Iterator[ToolObservation]:
        yield _ToolCount(self, tool.name)

    @override
    def check(self, check: Check) -> AbstractContextManager[CheckObservation]:
        return nullcontext(CheckObservation())

    @override
    def mirrored(self, batch: EntryBatch) -> None:
        lag = datetime.now(UTC) - batch.entries[0].at
        self._lag.record(max(lag.total_seconds(), 0.0))

    @override
    def not_mirrored(self) -> None:
        self._lag_errors.add(1)

    @override
    async def run_ended(self, batch: EntryBatch) -> None:
        key = (batch.chain, activity.info().workflow_run_id)
        if key not in self._ended:
            self._ended[key] = True
            self._count_end(batch.summary)

    @override
    async def run_ended_outside(self, run: MirroredRun) -> None:
        self._count_end(run.summary)

    def _count_end(self, summary: RunSummary) -> None:
        self._runs_ended.add(1, self._labels.bounded(agent=summary.agent, status=summary.status.value))

    def model_of(self, context: Context) -> str:
        """Returns the model that a call asks first."""
        return next(iter(context.spec.models), self._default_model)

    def model_asked(self, model: str) -> None:
        """Counts an attempt of a model call."""
        self._model_calls.add(1, self._labels.bounded(model=model))

    def model_replied(self, model: str, agent: str, reply: ModelReply) -> None:
        """Counts a reply."""
        by_model = self._labels.bounded(model=model)
        if reply.compaction is None:
            self._turns.add(1, self._labels.bounded(agent=agent))
        self._model_seconds.record(reply.seconds, by_model)
        self._count_usage(model, reply.usage)
        if reply.usage.cost_usd or not reply.usage.unpriced:
            self._cost.record(reply.usage.cost_usd, by_model)

    def _count_usage(self, model: str, usage: Usage) -> None:
        tokens = {"input": usage.input_tokens, "cached": usage.cached_tokens, "output": usage.output_tokens}
        for kind, number in tokens.items():
            self._tokens.add(number, self._labels.bounded(model=model, kind=kind))

    def model_failed(self, model: str, kind: str) -> None:
        """Counts an attempt of a model call that failed."""
        self._model_errors.add(1, self._labels.bounded(model=model, error=kind))

    def tool_called(self, tool: str, seconds: float, *, is_error: bool) -> None:
        """Counts an attempt of a tool call."""
        by_tool = self._labels.bounded(tool=tool)
        self._tool_calls.add(1, by_tool)
        self._tool_seconds.record(seconds, by_tool)
        if is_error:
            self._tool_errors.add(1, by_tool)


class _ModelCount(ModelObservation):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._asked: tuple[str, str] | None = None

    @override
    def asks(self, context: Context) -> None:
        self._asked = self._metrics.model_of(context), context.spec.name
        self._metrics.model_asked(self._asked[0])

    @override
    def replied(self, reply: ModelReply) -> None:
        if self._asked:
            self._metrics.model_replied(*self._asked, reply)

    @override
    def failed(self, kind: str) -> None:
        if self._asked:
            self._metrics.model_failed(self._asked[0], kind)


class _ToolCount(ToolObservation):
    def __init__(self, metrics: Metrics, tool: str) -> None:
        self._metrics = metrics
        self._tool = tool
        self._started = time.monotonic()

    @override
    def returned(self, result: ToolResult) -> None:
        self._metrics.tool_called(self._tool, result.seconds, is_error=result.error is not None)

    @override
    def failed(self, kind: str) -> None:
        self._metrics.tool_called(self._tool, time.monotonic() - self._started, is_error=True)
