"""Calls that must not take effect twice, made by way of the ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from cachetools import FIFOCache
from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast._util.logger import get_logger
from holdfast.activities.claims import (
    TAKEOVER_AFTER,
    Claim,
    ClaimedByAnother,
    ClaimExpired,
    NotClaimed,
    key_of,
    new_owner,
)
from holdfast.activities.failures import EXPECTED
from holdfast.activities.late_results import LateResults
from holdfast.activities.tool_runner import BeginGuard, ToolRunner
from holdfast.agents.tool import Tool, ToolContext
from holdfast.call_outcome import OUTCOME_UNKNOWN
from holdfast.errors import ErrorType, StoreUnavailable
from holdfast.invocations import CallClaim, Resolution, ToolInvocation
from holdfast.ports.ledger import CallKey, Ledger, LedgerEntry, Recorded
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.types import ToolResult, clean_text

log = get_logger(__name__)

LATE_RESULT = 12.0
"""Seconds for which an attempt waits for the result of an earlier one that Temporal has given up: its worker may have
been frozen or cut off, and be about to record it."""
LATE_POLL = 0.5  # seconds between two looks at the ledger meanwhile
ENDED_AFTER = 10.0  # seconds beyond a tool's timeout, after which no worker runs the call any more
RECORD_TIMEOUT = 5.0  # seconds to record a result; without it, only a crash right afterwards makes the call unknown
READ_PAUSE = 2.0  # seconds between attempts to read a large result while the store is unavailable
STORE_PAUSE = timedelta(seconds=5)
"""Before the next attempt of a call that an earlier attempt may have made, while the store is unavailable."""
MAX_CLAIMS = 5  # of one attempt that does not get to begin its call
MAX_UNBEGUN = 10_000  # claims that may have been written, of calls that have not begun here

Make = Callable[[ToolInvocation, BeginGuard | None], Awaitable[ToolResult]]
"""Makes a call under a claim, or without one, and returns its result."""


class LedgerCalls:
    """Makes calls at most once, whatever happens to their workers.

    Args:
        ledger: the ledger; `None` means that this worker has none.
        runner: calls the functions `verify` of tools.
        limits: pack and unpack results.
        is_required: whether calls wait for the store while it is unavailable; otherwise the run makes them without
            a claim, in a single attempt.
    """

    def __init__(self, ledger: Ledger | None, runner: ToolRunner, limits: PayloadLimits, *, is_required: bool) -> None:
        self._ledger = ledger
        self._runner = runner
        self._limits = limits
        self._is_required = is_required
        self._late_results = LateResults()
        self._unbegun: FIFOCache[CallKey, str] = FIFOCache(MAX_UNBEGUN)

    async def result(self, tool: Tool, invocation: ToolInvocation, context: ToolContext, make: Make) -> ToolResult:
        """Makes a call, or returns the result of an earlier attempt.

        Raises:
            ApplicationError: of type NoClaim or ClaimRequired, if the call has not begun as the store is unavailable.
        """
        if invocation.claim is None:
            said = await self._verified(tool, invocation, context) if invocation.lost else ToolResult()
            return said if said.outcome else await make(invocation, None)
        resolution = invocation.claim.resolution
        if resolution is not None and resolution.happened:
            return await self._settled(tool, invocation, resolution)
        if self._ledger is None:
            raise self._not_claimed("this worker has no ledger of tool calls", invocation.claim)
        return await self._claimed(self._ledger, tool, invocation, context, make)

    async def _claimed(
        self, ledger: Ledger, tool: Tool, invocation: ToolInvocation, context: ToolContext, make: Make
    ) -> ToolResult:
        key, lost = key_of(invocation), None
        owner = self._unbegun.pop(key, None) or new_owner()
        for _ in range(MAX_CLAIMS):
            claim = Claim(ledger, key, tool.spec.name, owner, instead_of=lost)
            try:
                result = await make(invocation, claim)
            except ClaimedByAnother as other:
                known = await self._known(ledger, tool, invocation, context, other.entry)
                if known is not None:
                    return known
                lost = other.entry.owner
            except ClaimExpired:
                log.warning("a tool call did not begin in time and is claimed again", tool=tool.spec.name)
            except NotClaimed as error:
                raise self._not_claimed(str(error), invocation.claim) from error
            else:
                if claim.has_begun and await self._record(ledger, key, claim.owner, tool, result) == Recorded.LATE:
                    self._late_results.report(invocation, tool.spec, owner)
                return result
            finally:
                if claim.withdraw() and claim.was_sent:
                    self._unbegun[key] = owner
        raise ApplicationError(
            f"the call did not begin, although it was claimed {MAX_CLAIMS} times",
            category=EXPECTED,
        )

    async def _known(
        self, ledger: Ledger, tool: Tool, invocation: ToolInvocation, context: ToolContext, entry: LedgerEntry
    ) -> ToolResult | None:
        """Returns the result of a call that another attempt has claimed; `None` if it did not take effect."""
        key, is_decided = key_of(invocation), invocation.claim is not None and invocation.claim.resolution is not None
        entry = await _late(ledger, key, entry, tool.spec.timeout, is_decided=is_decided)
        if entry.result is not None:
            return await self._recorded(entry.result)
        if is_decided:  # a person says that it did not take effect
            return None
        said = await self._verified(tool, invocation, context)
        if said.outcome == "verified":
            await self._record(ledger, key, entry.owner, tool, said)
        elif said.outcome == "unknown":
            late = await _given_up(ledger, key, entry)
            if late.result is not None:
                return await self._recorded(late.result)
            log.warning("it is unknown whether a lost call took effect", tool=tool.spec.name, owner=entry.owner)
        return said if said.outcome else None

    async def _verified(self, tool: Tool, invocation: ToolInvocation, context: ToolContext) -> ToolResult:
        """Returns what the tool's `verify` says; the `outcome` of a call that did not take effect is `None`."""
        unknown = ToolResult(error=OUTCOME_UNKNOWN, outcome="unknown")
        if (verifier := tool.verifier) is None:
            return unknown
        try:
            said = await self._runner.call(verifier, invocation.call.arguments, context)
        except Exception as error:  # noqa: BLE001 - code of the user
            log.warning(
                "verify failed, so the outcome of a call stays unknown", tool=tool.spec.name, reason=repr(error)
            )
            return unknown
        return unknown if said.error is not None or said.outcome == "unknown" else said

    async def _settled(self, tool: Tool, invocation: ToolInvocation, resolution: Resolution) -> ToolResult:
        """Records what a person said, for a later reset; a result that was recorded meanwhile is the true one."""
        key, said = key_of(invocation), ToolResult(content=clean_text(resolution.result) or "done", outcome="resolved")
        if (ledger := self._ledger) is None:
            return said
        try:
            async with asyncio.timeout(RECORD_TIMEOUT):
                entry = await ledger.claim(key, owner=new_owner(), tool=tool.spec.name)
        except (StoreUnavailable, TimeoutError):
            return said
        if entry.result is not None:
            return await self._recorded(entry.result)
        await self._record(ledger, key, entry.owner, tool, said)
        return said

    async def _record(
        self, ledger: Ledger, key: CallKey, owner: str, tool: Tool, result: ToolResult
    ) -> Recorded | None:
        """Records a result, and returns what became of it; `None` means that the store is unavailable."""
        try:
            async with asyncio.timeout(RECORD_TIMEOUT):
                kept = await ledger.record(key, owner=owner, result=await self._limits.pack(result))
        except (StoreUnavailable, TimeoutError) as error:
            log.warning(
                "a result was not recorded in the ledger", tool=tool.spec.name, reason=str(error) or "no answer"
            )
            return None
        if kept == Recorded.REFUSED:
            log.error("a lost call has ended that another attempt has taken over", tool=tool.spec.name)
        elif kept == Recorded.LATE:
            log.warning("recorded the result of a call whose outcome was reported as unknown", tool=tool.spec.name)
        return kept

    async def _recorded(self, packed: bytes) -> ToolResult:
        while True:
            try:
                result = await self._limits.unpack(packed)
            except StoreUnavailable as error:
                log.warning("a recorded result waits until the store is available", reason=str(error))
                await asyncio.sleep(READ_PAUSE)
            else:
                return result.model_copy(update={"outcome": "recorded"})

    def _not_claimed(self, reason: str, claim: CallClaim | None) -> ApplicationError:
        """Returns a failure that says whether the call may be made without a claim: only if no other attempt was."""
        is_first = activity.info().attempt == 1 and not (claim and claim.again)
        if not self._is_required and not is_first:
            return ApplicationError(
                f"it is unknown whether an earlier attempt made the call: {reason}",
                type=ErrorType.CALL_LOST,
                next_retry_delay=STORE_PAUSE,
                category=EXPECTED,
            )
        return ApplicationError(
            f"not called: the call could not be claimed in the ledger: {reason}",
            type=ErrorType.CLAIM_REQUIRED if self._is_required else ErrorType.NO_CLAIM,
            non_retryable=True,
            category=EXPECTED,
        )


async def _late(ledger: Ledger, key: CallKey, entry: LedgerEntry, timeout: float, *, is_decided: bool) -> LedgerEntry:
    """Waits for the result of a call whose worker may still be about to record it.

    Args:
        ledger: the ledger.
        key: the call.
        entry: what the ledger knew of it before.
        timeout: of the tool, in seconds.
        is_decided: whether a person has decided, so that only a call must be excluded that is just beginning.
    """
    wait = TAKEOVER_AFTER - entry.age if is_decided else min(LATE_RESULT, timeout + ENDED_AFTER - entry.age)
    end = time.monotonic() + wait
    if entry.result is None and wait > 0:
        log.info("an attempt waits for the result of a lost call", owner=entry.owner, seconds=round(wait, 1))
    while entry.result is None and time.monotonic() < end:
        await asyncio.sleep(LATE_POLL)
        entry = await _find(ledger, key) or entry
    return entry


async def _find(ledger: Ledger, key: CallKey) -> LedgerEntry | None:
    """Returns the entry of a call; `None` if it is gone, or if the store does not answer."""
    try:
        async with asyncio.timeout(RECORD_TIMEOUT):
            return await ledger.find(key)
    except (StoreUnavailable, TimeoutError):
        return None


async def _given_up(ledger: Ledger, key: CallKey, entry: LedgerEntry) -> LedgerEntry:
    """Gives a lost call up, and returns its entry, which has a result if that was recorded just before."""
    try:
        async with asyncio.timeout(RECORD_TIMEOUT):
            return await ledger.give_up(key, owner=entry.owner) or entry
    except (StoreUnavailable, TimeoutError):
        return entry
