"""Port of traces and metrics: activities report each call once, where it is really made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from typing_extensions import override

from holdfast.answers import AskedOfCode, GuardedText
from holdfast.invocations import ToolInvocation
from holdfast.model_reply import ModelReply
from holdfast.protocol import ModelCall
from holdfast.types import Context, EntryBatch, MirroredRun, ToolResult, ToolSpec

CheckOperation = Literal["guard", "validate_output"]


class ModelObservation:
    """One attempt of a model call, while it is made; one that never asks a model is not reported."""

    def asks(self, context: Context) -> None:
        """The request is about to be made."""

    def replied(self, reply: ModelReply) -> None:
        """The call has a reply, whose usage is complete."""

    def failed(self, kind: str) -> None:
        """The call has failed.

        Args:
            kind: the type of the error, one of few words.
        """


class ToolObservation:
    """One attempt of a tool call, while it is made."""

    def returned(self, result: ToolResult) -> None:
        """The call has a result, which may be an error."""

    def failed(self, kind: str) -> None:
        """The attempt has failed, and may be repeated.

        Args:
            kind: the type of the error, one of few words.
        """

    def not_made(self) -> None:
        """The call was not made, as another attempt has made it or may have."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A text that a guard or a validator of an agent looks at."""

    operation: CheckOperation
    name: str
    """Of the guard, or of the agent whose answer is validated."""
    on: GuardedText
    text: str
    asked: AskedOfCode
    """What the function is told of the run."""


class CheckObservation:
    """One attempt of a check, while it is made."""

    def ended(self, verdict: str, reason: str = "") -> None:
        """The check has a verdict.

        Args:
            verdict: `passed`, `replaced` or `blocked`; of a validation `valid`, `changed` or `invalid`.
            reason: why, which may quote content.
        """

    def failed(self, kind: str) -> None:
        """The function that checks has failed.

        Args:
            kind: the type of the error, one of few words.
        """


class Telemetry(Protocol):
    """Receives what a worker does. Nothing here raises, waits for a network or quotes content unless asked to."""

    def model_call(self, call: ModelCall) -> AbstractContextManager[ModelObservation]:
        """Observes an attempt of a model call."""

    def tool_call(self, invocation: ToolInvocation, tool: ToolSpec) -> AbstractContextManager[ToolObservation]:
        """Observes an attempt of a tool call."""

    def check(self, check: Check) -> AbstractContextManager[CheckObservation]:
        """Observes an attempt of a check."""

    def mirrored(self, batch: EntryBatch) -> None:
        """The mirror has acknowledged a batch."""

    def not_mirrored(self) -> None:
        """An append to the mirror has failed, and will be repeated."""

    async def run_ended(self, batch: EntryBatch) -> None:
        """A run has ended, and this worker has recorded it; called within one of its activities, maybe repeatedly.

        Args:
            batch: has the entry `finish`.
        """

    async def run_ended_outside(self, run: MirroredRun) -> None:
        """A run was ended from outside, so that no activity of its own could record it.

        Args:
            run: as it ended; of all workers, one calls this.
        """


class NoTelemetry(Telemetry):
    """Reports nothing."""

    @contextmanager
    @override
    def model_call(self, call: ModelCall) -> Iterator[ModelObservation]:
        yield ModelObservation()

    @contextmanager
    @override
    def tool_call(self, invocation: ToolInvocation, tool: ToolSpec) -> Iterator[ToolObservation]:
        yield ToolObservation()

    @contextmanager
    @override
    def check(self, check: Check) -> Iterator[CheckObservation]:
        yield CheckObservation()

    @override
    def mirrored(self, batch: EntryBatch) -> None:
        pass

    @override
    def not_mirrored(self) -> None:
        pass

    @override
    async def run_ended(self, batch: EntryBatch) -> None:
        pass

    @override
    async def run_ended_outside(self, run: MirroredRun) -> None:
        pass


class Telemetries(Telemetry):
    """Reports to several receivers.

    Args:
        parts: the receivers, the outermost first.
    """

    def __init__(self, parts: Sequence[Telemetry]) -> None:
        self._parts = parts

    @contextmanager
    @override
    def model_call(self, call: ModelCall) -> Iterator[ModelObservation]:
        with ExitStack() as stack:
            yield _ModelObservations([stack.enter_context(part.model_call(call)) for part in self._parts])

    @contextmanager
    @override
    def tool_call(self, invocation: ToolInvocation, tool: ToolSpec) -> Iterator[ToolObservation]:
        with ExitStack() as stack:
            yield _ToolObservations([stack.enter_context(part.tool_call(invocation, tool)) for part in self._parts])

    @contextmanager
    @override
    def check(self, check: Check) -> Iterator[CheckObservation]:
        with ExitStack() as stack:
            yield _CheckObservations([stack.enter_context(part.check(check)) for part in self._parts])

    @override
    def mirrored(self, batch: EntryBatch) -> None:
        for part in self._parts:
            part.mirrored(batch)

    @override
    def not_mirrored(self) -> None:
        for part in self._parts:
            part.not_mirrored()

    @override
    async def run_ended(self, batch: EntryBatch) -> None:
        for part in self._parts:
            await part.run_ended(batch)

    @override
    async def run_ended_outside(self, run: MirroredRun) -> None:
        for part in self._parts:
            await part.run_ended_outside(run)


class _ModelObservations(ModelObservation):
    def __init__(self, parts: Sequence[ModelObservation]) -> None:
        self._parts = parts

    @override
    def asks(self, context: Context) -> None:
        for part in self._parts:
            part.asks(context)

    @override
    def replied(self, reply: ModelReply) -> None:
        for part in self._parts:
            part.replied(reply)

    @override
    def failed(self, kind: str) -> None:
        for part in self._parts:
            part.failed(kind)


class _ToolObservations(ToolObservation):
    def __init__(self, parts: Sequence[ToolObservation]) -> None:
        self._parts = parts

    @override
    def returned(self, result: ToolResult) -> None:
        for part in self._parts:
            part.returned(result)

    @override
    def failed(self, kind: str) -> None:
        for part in self._parts:
            part.failed(kind)

    @override
    def not_made(self) -> None:
        for part in self._parts:
            part.not_made()


class _CheckObservations(CheckObservation):
    def __init__(self, parts: Sequence[CheckObservation]) -> None:
        self._parts = parts

    @override
    def ended(self, verdict: str, reason: str = "") -> None:
        for part in self._parts:
            part.ended(verdict, reason)

    @override
    def failed(self, kind: str) -> None:
        for part in self._parts:
            part.failed(kind)
