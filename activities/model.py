"""Model calls, each with the append of the newest entries to the mirror."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.attached import Attached
from holdfast.activities.compactor import compact
from holdfast.activities.context_cache import ContextCache
from holdfast.activities.day_leases import DayLeases, Lease
from holdfast.activities.deltas import Deltas
from holdfast.activities.fallback import Fallback, OnRequest, Redirected
from holdfast.activities.finished import FinishedCalls
from holdfast.activities.heartbeat import heartbeats, stopped_by_user
from holdfast.activities.mirror_writer import MirrorWriter
from holdfast.activities.partial_text import PartialText
from holdfast.activities.retries import EXPECTED, Attempt, retry_or_fail
from holdfast.activities.slots import AgentSlots, NoSlot
from holdfast.activities.spending import Spending, lost_usage
from holdfast.activities.windows import ContextWindows
from holdfast.context import context_of, extend
from holdfast.errors import (
    ContextOverflow,
    ErrorType,
    MirrorGap,
    ModelError,
    ModelUnavailable,
    StoreUnavailable,
    TranscriptUnavailable,
    UsageError,
)
from holdfast.messages import CompactionOrder
from holdfast.model_reply import ModelReply, OverflowReport, TriedModel
from holdfast.ports import Store
from holdfast.ports.telemetry import ModelObservation, NoTelemetry, Telemetry
from holdfast.protocol import ModelCall
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.types import Context, EntryBatch, TranscriptRef

log = get_logger(__name__)

SCRIPTED = "scripted"  # the provider that is no language model
APPEND_TIMEOUT = 0.25  # seconds that a reply waits for the mirror, which usually takes 5 ms


class ConcurrentAppend:
    """The append of a call's entries to the mirror, concurrent with the request to the model.

    It delays the reply by at most `APPEND_TIMEOUT` and never fails the call. The run's outbox sends what it missed.
    """

    def __init__(self, writer: MirrorWriter, call: ModelCall) -> None:
        self._writer = writer
        self._call = call
        self._task: asyncio.Task[bool] | None = None

    def start(self) -> None:
        """Starts the append, if the call carries one."""
        if batch := self._call.batch:
            self._task = asyncio.create_task(self._append(batch))

    async def result(self) -> bool:
        """Waits briefly for the mirror and returns whether it has the entries."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=APPEND_TIMEOUT)
        return self.is_done

    @property
    def is_done(self) -> bool:
        """Whether the mirror has acknowledged the entries."""
        return self._task is not None and self._task.done() and not self._task.cancelled() and self._task.result()

    def cancel(self) -> None:
        """Cancels an append that is still in flight; it can be repeated safely."""
        if self._task is not None:
            self._task.cancel()

    async def _append(self, batch: EntryBatch) -> bool:
        try:
            await self._writer.append(batch)
        except (MirrorGap, StoreUnavailable, UsageError) as error:
            log.warning("the mirror lags", run_id=batch.run_id, after=batch.entries[0].seq - 1, reason=str(error))
            return False
        except Exception:
            log.exception("writing to the mirror failed", run_id=batch.run_id)
            return False
        return True


class ModelActivities:
    """Makes one model call in each attempt; Temporal retries."""

    def __init__(
        self,
        fallback: Fallback,
        store: Store,
        writer: MirrorWriter,
        *,
        slots: AgentSlots,
        finished: FinishedCalls,
        limits: PayloadLimits,
        deltas: Deltas,
        contexts: ContextCache,
        spending: Spending,
        leases: DayLeases,
        windows: ContextWindows,
        attached: Attached,
        provider: str,
        retry_for: timedelta,
        telemetry: Telemetry | None = None,
    ) -> None:
        """
        Args:
            fallback: makes the calls.
            store: contains the contexts.
            writer: appends to the mirror.
            slots: limits the agents that are executed at the same time.
            finished: the calls whose results Temporal has not acknowledged yet.
            limits: of replies.
            deltas: publishes the text as it arrives.
            contexts: those of this worker's runs.
            spending: completes the usage of replies.
            leases: reserves calls in daily budgets.
            windows: the sizes of the models' contexts.
            attached: has the contents of attachments.
            provider: where this worker's models are, see `Plan.provider`.
            retry_for: how long a call is retried while the provider is unavailable.
            telemetry: receives each attempt.
        """
        self._fallback = fallback
        self._store = store
        self._writer = writer
        self._slots = slots
        self._finished = finished
        self._limits = limits
        self._deltas = deltas
        self._cache = contexts
        self._spending = spending
        self._leases = leases
        self._windows = windows
        self._attached = attached
        self._provider = provider
        self._retry_for = retry_for
        self._telemetry = telemetry or NoTelemetry()

    @activity.defn(name=names.MODEL_CALL)
    async def call(self, call: ModelCall) -> ModelReply:
        """Makes one streamed model call; after a cancel, returns the text that had arrived.

        Raises:
            ApplicationError: of a type in ErrorType; carries whether and when Temporal retries.
        """
        self._check_provider(call)
        return await self._finished.once(lambda: self._observed(call))

    async def _observed(self, call: ModelCall) -> ModelReply:
        with self._telemetry.model_call(call) as observation:
            try:
                reply = await self._attempt(call, observation)
            except ApplicationError as error:
                observation.failed(error.type or ErrorType.INTERNAL)
                raise
            observation.replied(reply)
            return reply

    async def _attempt(self, call: ModelCall, observation: ModelObservation) -> ModelReply:
        attempt = Attempt.of(call)
        partial, lease = PartialText(call.turn, lost_usage(call.spent)), self._leases.lease(call)
        partial.observation = observation
        append = ConcurrentAppend(self._writer, call)
        started = time.monotonic()
        try:
            # A later attempt waits here, as the pauses between attempts are the provider's.
            waits = not call.slot_only or attempt.number > 1
            holding = self._slots.hold(call.run_id, waits=waits)
            async with heartbeats(partial.progress), holding as slot:
                slot.keep()  # a call that lacks its context is repeated at once
                context = await self._context(call)
                sent = context if call.compact else await self._attached.inlined(context)
                slot.keep(is_kept=False)
                append.start()
                await self._reserve(call, lease, partial, context)
                started = time.monotonic()
                reply = await self._complete(call, lease, partial, sent)
                mirrored = await append.result()
                if reply.tool_calls:
                    slot.keep()
        except NoSlot:
            raise ApplicationError(
                "the worker has no free slot", type=ErrorType.NO_SLOT, non_retryable=True, category=EXPECTED
            ) from None
        except asyncio.CancelledError:
            if not stopped_by_user():
                await lease.settle(partial.fail())
                raise ApplicationError(
                    "the worker is shutting down", type=ErrorType.MODEL_UNAVAILABLE, category=EXPECTED
                ) from None
            reply, mirrored = partial.reply(time.monotonic() - started), append.is_done
        except (Redirected, ModelError) as error:
            failure = self._failure(error, call, partial)
            await lease.settle(partial.spent)
            raise failure from None
        finally:
            append.cancel()
        await self._spending.settle(reply, partial)
        if partial.context and not reply.partial and not reply.compaction:
            await self._windows.measure(reply, partial.context.spec, partial.lost)
        await lease.settle(reply.usage)
        if mirrored:
            reply.mirrored = True
        if attempt.number > 1:
            reply.attempts = attempt.number
        return reply

    async def _reserve(self, call: ModelCall, lease: Lease, partial: PartialText, context: Context) -> None:
        """Reserves the call in daily budgets, and notes that it begins to cost something."""
        self._spending.prepare()
        await self._leases.take(lease, context, partial.lost)
        partial.context = context
        if call.is_limited:  # what the call uses must not be lost, even if its worker dies before the first heartbeat
            activity.heartbeat(partial.progress())

    async def _complete(self, call: ModelCall, lease: Lease, partial: PartialText, context: Context) -> ModelReply:
        if call.compact is None:
            partial.observation.asks(context)
            reply = await self._fallback.complete(call, context, self._requests(call, partial), lease.max_output)
        else:
            reply = await self._compact(call, call.compact, lease, partial, context)
        self._check(reply)
        await self._limits.settle(reply)
        if reply.finish_reason == "length" and lease.max_output is not None:
            reply.cut_by_budget = True
        return reply

    async def _compact(
        self, call: ModelCall, order: CompactionOrder, lease: Lease, partial: PartialText, context: Context
    ) -> ModelReply:
        partial.context = None  # clearing results costs nothing

        async def summarize(request: Context) -> ModelReply:
            partial.context = request
            partial.observation.asks(request)
            return await self._fallback.complete(call, request, self._unheard(partial), lease.max_output)

        return await compact(context, order, summarize)

    def _failure(self, error: Redirected | ModelError, call: ModelCall, partial: PartialText) -> ApplicationError:
        """Returns the failure of a call that no model has answered."""
        match error:
            case Redirected():
                return error.failure(partial.spent)
            case ModelUnavailable():
                partial.fail()
                return retry_or_fail(error, Attempt.of(call), deadline=call.deadline, retry_for=self._retry_for)
            case ContextOverflow():
                report = OverflowReport(limit=error.limit, size=error.size)
                kind = ErrorType.CONTEXT_OVERFLOW  # the run compacts its context
                return ApplicationError(str(error), report, type=kind, non_retryable=True, category=EXPECTED)
        return ApplicationError(str(error), type=ErrorType.MODEL_REFUSED, non_retryable=True)

    def _requests(self, call: ModelCall, partial: PartialText) -> OnRequest:
        """Returns what prepares for the text of each request: it replaces that of the request before."""

        @contextmanager
        def begin(number: int, tried: Sequence[TriedModel]) -> Iterator[Callable[[str], None]]:
            partial.begin(number, tried)
            with self._deltas.stream(call.run_id, call.turn, number, partial.tried) as stream:
                partial.listener = stream.add
                yield partial.add

        return begin

    @staticmethod
    def _unheard(partial: PartialText) -> OnRequest:
        """Returns what prepares for the text of a summary, which nobody follows."""

        @contextmanager
        def begin(number: int, tried: Sequence[TriedModel]) -> Iterator[Callable[[str], None]]:
            partial.begin(number, tried)
            yield lambda _text: None

        return begin

    def _check_provider(self, call: ModelCall) -> None:
        """Checks that this worker may continue the run: the scripted model never answers for a real one."""
        began = call.provider
        if began in (None, self._provider):
            return
        if SCRIPTED not in (began, self._provider):
            log.warning("a run continues at another provider", run_id=call.run_id, began=began, now=self._provider)
            return
        raise ApplicationError(
            f"the run began with the models of {began!r}, and this worker has those of {self._provider!r}",
            type=ErrorType.NOT_SERVED,
            non_retryable=True,
            category=EXPECTED,
        )

    async def _context(self, call: ModelCall) -> Context:
        context = await self._extended(call)
        self._cache.put(call.run_id, call.head, context)
        return context

    async def _extended(self, call: ModelCall) -> Context:
        if call.base is None:
            return _inline(call)
        base = self._cache.get(call.run_id, call.base)
        return (base and extend(base, call.entries)) or await self._stored(call, call.base)

    async def _stored(self, call: ModelCall, base: TranscriptRef) -> Context:
        try:
            return await self._store.context(call.run_id, base, call.entries)
        except (TranscriptUnavailable, StoreUnavailable) as error:
            log.info("the store does not have the context; requesting it inline", run_id=call.run_id, reason=str(error))
            raise ApplicationError(
                str(error), type=ErrorType.TRANSCRIPT_UNAVAILABLE, non_retryable=True, category=EXPECTED
            ) from None

    def _check(self, reply: ModelReply) -> None:
        if size := self._limits.excess(reply):
            limit = self._limits.max_bytes
            raise ApplicationError(
                f"the model's reply has {size:,} bytes; the maximum is {limit:,}: set max_tokens in the model settings",
                type=ErrorType.REPLY_TOO_LARGE,
                non_retryable=True,
            )


def _inline(call: ModelCall) -> Context:
    """Returns the context of a call without a base, whose entries are the whole log."""
    try:
        return context_of(call.entries)
    except TranscriptUnavailable:
        raise ApplicationError("the model call has no context", type=ErrorType.INTERNAL, non_retryable=True) from None
