"""Model calls, each with the append of the newest entries to the mirror."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from holdfast import names
from holdfast.activities.context_cache import ContextCache
from holdfast.activities.deltas import Deltas
from holdfast.activities.finished import FinishedCalls
from holdfast.activities.heartbeat import heartbeats, stopped_by_user
from holdfast.activities.mirror_writer import MirrorWriter
from holdfast.activities.slots import AgentSlots
from holdfast.errors import (
    ContextOverflow,
    ErrorType,
    MirrorGap,
    ModelRefused,
    ModelUnavailable,
    StoreUnavailable,
    TranscriptUnavailable,
    UsageError,
)
from holdfast.ports import ChatModel, Store
from holdfast.protocol import ModelCall, ModelProgress
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.types import AgentSpec, Context, EntryBatch, ModelReply, Usage

log = structlog.get_logger()

EXPECTED = ApplicationErrorCategory.BENIGN  # logged here in a line; the SDK would add a traceback for each attempt
LONGEST_PAUSE = 60.0  # seconds between attempts where the provider names none
CHARS_PER_TOKEN = 4  # for estimates
APPEND_PATIENCE = 0.25  # seconds that a reply waits for the mirror, which takes some 5 ms as a rule
SHOWN_CHARS = 8_000  # of the text so far in each heartbeat: more than a model writes between two of them


class PartialText:
    """The text of a reply as it arrives."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.listener: Callable[[str], None] | None = None
        """Is told each piece."""

    def add(self, piece: str) -> None:
        """Takes the next piece."""
        self._pieces.append(piece)
        if self.listener:
            self.listener(piece)

    def __str__(self) -> str:
        return "".join(self._pieces)

    def progress(self, turn: int) -> ModelProgress:
        """What a heartbeat carries."""
        text = str(self)
        offset = max(len(text) - SHOWN_CHARS, 0)
        return ModelProgress(turn=turn, attempt=activity.info().attempt, offset=offset, text=text[offset:])


class RidingAppend:
    """The append of a call's entries to the mirror, made beside the request to the model.

    It never delays the reply for long, and never fails the call: what is not mirrored, the run sends by other means.
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
        """Waits a moment for the mirror, and returns whether it has the entries."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=APPEND_PATIENCE)
        return self.is_done

    @property
    def is_done(self) -> bool:
        """Whether the mirror has acknowledged the entries."""
        return self._task is not None and self._task.done() and not self._task.cancelled() and self._task.result()

    def abandon(self) -> None:
        """Gives up an append that is still in flight; repeating it later is safe."""
        if self._task is not None:
            self._task.cancel()

    async def _append(self, batch: EntryBatch) -> bool:
        try:
            await self._writer.append(batch)
        except (MirrorGap, StoreUnavailable, UsageError) as error:
            log.warning("the mirror lags", run_id=batch.run_id, after=batch.entries[0].seq - 1, reason=str(error))
            return False
        except Exception:
            log.exception("the mirror cannot be written", run_id=batch.run_id)
            return False
        return True


class ModelActivities:
    """Makes one attempt at a model call; Temporal retries."""

    def __init__(
        self,
        model: ChatModel,
        store: Store,
        writer: MirrorWriter,
        *,
        slots: AgentSlots,
        finished: FinishedCalls,
        limits: PayloadLimits,
        deltas: Deltas,
    ) -> None:
        self._model = model
        self._store = store
        self._writer = writer
        self._slots = slots
        self._finished = finished
        self._limits = limits
        self._deltas = deltas
        self._cache = ContextCache()

    @activity.defn(name=names.MODEL_CALL)
    async def call(self, call: ModelCall) -> ModelReply:
        """Makes one streamed model call; after a cancel, gives the text that had arrived.

        Raises:
            ApplicationError: of a type in ErrorType; says by itself whether and when to try again.
        """
        return await self._finished.once(lambda: self._attempt(call))

    async def _attempt(self, call: ModelCall) -> ModelReply:
        partial = PartialText()
        append = RidingAppend(self._writer, call)
        started = time.monotonic()
        try:
            async with heartbeats(lambda: partial.progress(call.turn)), self._slots.hold(call.run_id):
                context = await self._context(call)
                append.start()
                started = time.monotonic()
                with self._deltas.stream(call.run_id, call.turn, activity.info().attempt) as stream:
                    partial.listener = stream.add
                    reply = await self._model.complete(context.spec, context.messages, on_text=partial.add)
                self._check(reply)
                await self._limits.settle(reply)
                mirrored = await append.result()
        except asyncio.CancelledError:
            if not stopped_by_user():
                raise ApplicationError(
                    "the worker shuts down", type=ErrorType.MODEL_UNAVAILABLE, category=EXPECTED
                ) from None
            reply, mirrored = self._partial(call, str(partial), time.monotonic() - started), append.is_done
        except ModelUnavailable as error:
            raise _try_again(error, call.deadline) from None
        except (ModelRefused, ContextOverflow) as error:
            kind = ErrorType.CONTEXT_OVERFLOW if isinstance(error, ContextOverflow) else ErrorType.MODEL_REFUSED
            raise ApplicationError(str(error), type=kind, non_retryable=True) from None
        finally:
            append.abandon()
        if mirrored:
            reply.mirrored = True
        if (attempt := activity.info().attempt) > 1:
            reply.attempts = attempt
        return reply

    async def _context(self, call: ModelCall) -> Context:
        messages = [message for entry in call.entries if (message := entry.message)]
        if call.base is None:
            context = Context.model_construct(spec=_spec(call), messages=messages)
        else:
            base = self._cache.get(call.run_id, call.base) or await self._stored(call)
            context = Context.model_construct(spec=base.spec, messages=[*base.messages, *messages])
        self._cache.put(call.run_id, call.head, context)
        return context

    async def _stored(self, call: ModelCall) -> Context:
        assert call.base is not None
        try:
            return await self._store.context(call.run_id, call.base)
        except (TranscriptUnavailable, StoreUnavailable) as error:
            log.info("context not in the store, asking for it inline", reason=str(error))
            raise ApplicationError(
                str(error), type=ErrorType.TRANSCRIPT_UNAVAILABLE, non_retryable=True, category=EXPECTED
            ) from None

    def _partial(self, call: ModelCall, text: str, seconds: float) -> ModelReply:
        """Providers send no usage for a stream that was closed, so that is estimated."""
        context = self._cache.get(call.run_id, call.head)
        sent = sum(len(message.content) for message in context.messages) if context else 0
        return ModelReply(
            content=text,
            model=(context.spec.model if context else None) or "unknown",
            finish_reason="cancelled",
            usage=Usage(
                requests=1,
                input_tokens=sent // CHARS_PER_TOKEN,
                output_tokens=len(text) // CHARS_PER_TOKEN,
            ),
            seconds=round(seconds, 3),
        )

    def _check(self, reply: ModelReply) -> None:
        if size := self._limits.excess(reply):
            limit = self._limits.max_bytes
            raise ApplicationError(
                f"the model's reply has {size:,} bytes, at most {limit:,} are taken; limit max_tokens",
                type=ErrorType.REPLY_TOO_LARGE,
                non_retryable=True,
            )


def _spec(call: ModelCall) -> AgentSpec:
    """The definition in entry 0, with which the entries of a call without a base begin."""
    if not call.entries or call.entries[0].kind != "start":
        raise ApplicationError("a model call without a context", type=ErrorType.INTERNAL, non_retryable=True)
    return AgentSpec.model_validate(call.entries[0].data["agent"])


def _try_again(error: ModelUnavailable, deadline: datetime) -> ApplicationError:
    """Has Temporal make another attempt after a pause, if there is time for it."""
    attempt = activity.info().attempt
    backoff = min(LONGEST_PAUSE, 2.0 ** (attempt - 1)) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries
    pause = timedelta(seconds=backoff if error.retry_after is None else error.retry_after)
    if datetime.now(UTC) + pause >= deadline:
        reason = f"{error}; the run's time limit leaves no room for attempt {attempt + 1}"
        return ApplicationError(reason, type=ErrorType.MODEL_UNAVAILABLE, non_retryable=True)
    log.warning("model call failed, trying again", attempt=attempt, pause=pause.total_seconds(), reason=str(error))
    return ApplicationError(str(error), type=ErrorType.MODEL_UNAVAILABLE, next_retry_delay=pause, category=EXPECTED)
