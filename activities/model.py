"""Model calls, each with the append of the newest entries to the mirror."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.attached import Attached
from holdfast.activities.compactor import compact
from holdfast.activities.concurrent_append import ConcurrentAppend
from holdfast.activities.context_cache import ContextCache
from holdfast.activities.day_leases import Lease
from holdfast.activities.deltas import Deltas
from holdfast.activities.failures import EXPECTED, not_served
from holdfast.activities.fallback import OnRequest, Redirected
from holdfast.activities.finished import FinishedCalls
from holdfast.activities.heartbeat import heartbeats, stopped_by_user
from holdfast.activities.lifespans import Lifespans
from holdfast.activities.mirror_writer import MirrorWriter
from holdfast.activities.model_source import ModelSource, ModelSources
from holdfast.activities.model_wrapping import ask_through
from holdfast.activities.partial_text import PartialText
from holdfast.activities.retries import Attempt, retry_or_fail
from holdfast.activities.slots import AgentSlots, NoSlot
from holdfast.activities.spending import lost_usage
from holdfast.activities.tool_runner import ToolRunner
from holdfast.agents.user_functions import RunContext
from holdfast.context import context_of, extend
from holdfast.errors import (
    ContextOverflow,
    ErrorType,
    ModelError,
    ModelUnavailable,
    StoreUnavailable,
    TranscriptUnavailable,
)
from holdfast.messages import CompactionOrder
from holdfast.model_reply import ModelReply, OverflowReport, TriedModel
from holdfast.ports import Store
from holdfast.ports.telemetry import ModelObservation, NoTelemetry, Telemetry
from holdfast.protocol import ModelCall
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.types import Context, TranscriptRef, Usage

log = get_logger(__name__)

SCRIPTED = "scripted"  # the provider that is no language model


@dataclass(frozen=True)
class ModelAttempt:
    """One attempt of a model call."""

    call: ModelCall
    source: ModelSource
    lease: Lease
    partial: PartialText


class ModelActivities:
    """Makes one model call in each attempt; Temporal retries."""

    def __init__(
        self,
        sources: ModelSources,
        store: Store,
        writer: MirrorWriter,
        *,
        runner: ToolRunner,
        lifespans: Lifespans,
        slots: AgentSlots,
        finished: FinishedCalls,
        limits: PayloadLimits,
        deltas: Deltas,
        contexts: ContextCache,
        attached: Attached,
        provider: str,
        retry_for: timedelta,
        telemetry: Telemetry | None = None,
    ) -> None:
        """
        Args:
            sources: answer the calls.
            store: contains the contexts.
            writer: appends to the mirror.
            runner: calls what agents wrap their calls in.
            lifespans: enters the agents whose code makes calls.
            slots: limits the agents that are executed at the same time.
            finished: the calls whose results Temporal has not acknowledged yet.
            limits: of replies.
            deltas: publishes the text as it arrives.
            contexts: those of this worker's runs.
            attached: has the contents of attachments.
            provider: where this worker's models are, see `Plan.provider`.
            retry_for: how long a call is retried while the provider is unavailable.
            telemetry: receives each attempt.
        """
        self._sources = sources
        self._runner = runner
        self._lifespans = lifespans
        self._store = store
        self._writer = writer
        self._slots = slots
        self._finished = finished
        self._limits = limits
        self._deltas = deltas
        self._cache = contexts
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
        source = self._sources.find(call)
        if not source.has_client:
            self._check_provider(call)
        return await self._finished.once(lambda: self._observed(call, source))

    async def _observed(self, call: ModelCall, source: ModelSource) -> ModelReply:
        with self._telemetry.model_call(call) as observation:
            try:
                reply = await self._attempt(call, source, observation)
            except ApplicationError as error:
                observation.failed(error.type or ErrorType.INTERNAL)
                raise
            observation.replied(reply)
            return reply

    async def _attempt(self, call: ModelCall, source: ModelSource, observation: ModelObservation) -> ModelReply:
        attempt = Attempt.of(call)
        partial, lease = PartialText(call.turn, lost_usage(call.spent)), source.leases.lease(call)
        this = ModelAttempt(call, source, lease, partial)
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
                await self._reserve(this, context)
                started = time.monotonic()
                reply = await self._complete(this, sent)
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
        await _settle(source, reply, partial)
        await lease.settle(reply.usage)
        if mirrored:
            reply.mirrored = True
        if attempt.number > 1:
            reply.attempts = attempt.number
        return reply

    @staticmethod
    async def _reserve(this: ModelAttempt, context: Context) -> None:
        """Reserves the call in daily budgets, and records that it begins to cost something."""
        this.source.spending.prepare()
        await this.source.leases.take(this.lease, context, this.partial.lost)
        this.partial.context = context
        if this.call.is_limited:  # what it uses must not be lost, even if its worker dies before the first heartbeat
            activity.heartbeat(this.partial.progress())

    async def _complete(self, this: ModelAttempt, context: Context) -> ModelReply:
        if this.call.compact is not None:
            reply = await self._compact(this, this.call.compact, context)
        elif context.spec.model_wrappers:
            reply = await self._wrapped(this, context)
        else:
            reply = await self._ask(this, context)
        self._check(reply)
        await self._limits.settle(reply)
        if reply.finish_reason == "length" and this.lease.max_output is not None:
            reply.cut_by_budget = True
        return reply

    async def _ask(self, this: ModelAttempt, context: Context) -> ModelReply:
        this.partial.observation.asks(context)
        on_request = self._requests(this.call, this.partial)
        return await this.source.fallback.complete(this.call, context, on_request, this.lease.max_output)

    async def _wrapped(self, this: ModelAttempt, context: Context) -> ModelReply:
        """Asks the model through the wrappers of the agent, which may do so several times, or not at all."""
        call, partial, agent = this.call, this.partial, this.source.agent
        if agent is None or set(context.spec.model_wrappers) - {wrapper.name for wrapper in agent.model_wrappers}:
            # The wrappers with which the run began see all its calls.
            raise not_served(f"the code of agent {context.spec.name!r} that makes its model calls")

        async def ask(changed: Context) -> ModelReply:
            partial.context = changed
            try:
                reply = await self._ask(this, changed)
            except ModelError:
                partial.settle(partial.spent)
                raise
            await _settle(this.source, reply, partial)
            partial.settle(reply.usage)
            return reply

        await self._lifespans.enter(agent.name)
        partial.context = None  # nothing is asked yet
        run = RunContext(call.run_id, agent.name, call.turn - 1, call.context or {})
        started = time.monotonic()
        reply = await ask_through(agent, context, run, ask, self._runner)
        reply.usage = Usage(requests=0)  # what the requests have used is known already
        reply.seconds = round(time.monotonic() - started, 3)
        return reply

    async def _compact(self, this: ModelAttempt, order: CompactionOrder, context: Context) -> ModelReply:
        call, partial = this.call, this.partial
        partial.context = None  # clearing results costs nothing

        async def summarize(request: Context) -> ModelReply:
            partial.context = request
            partial.observation.asks(request)
            return await this.source.fallback.complete(call, request, self._unheard(partial), this.lease.max_output)

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
        after = partial.settled

        @contextmanager
        def begin(number: int, tried: Sequence[TriedModel]) -> Iterator[Callable[[str], None]]:
            number = max(number, after + 1 + len(tried)) if after else number
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


async def _settle(source: ModelSource, reply: ModelReply, partial: PartialText) -> None:
    """Completes the usage of a reply, and records how much of the model's window the call has used."""
    await source.spending.settle(reply, partial)
    if partial.context and not reply.partial and not reply.compaction:
        await source.windows.measure(reply, partial.context.spec, partial.lost)


def _inline(call: ModelCall) -> Context:
    """Returns the context of a call without a base, whose entries are the whole log."""
    try:
        return context_of(call.entries)
    except TranscriptUnavailable:
        raise ApplicationError("the model call has no context", type=ErrorType.INTERNAL, non_retryable=True) from None
