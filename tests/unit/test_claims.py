"""Claims of calls: what identifies a call, when it may begin, and how often a run attempts it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

from holdfast.activities import claims
from holdfast.activities.claims import Claim, ClaimedByAnother, ClaimExpired, NotClaimed, key_of
from holdfast.errors import ErrorType
from holdfast.invocations import CallClaim, ToolInvocation
from holdfast.types import ToolCall, ToolResult, ToolSpec
from holdfast.workflows.options import ActivityOptions, claimed_call, tool_call
from holdfast.workflows.run.claimed_calls import call_once
from tests.support.ledgers import SwitchedLedger

PAY = ToolSpec(name="pay", activity="tool.pay", claims=True)
VERIFIED = PAY.model_copy(update={"verifies": True})


def invocation(arguments: str = '{"amount": 5}', *, name: str = "pay", index: int = 0) -> ToolInvocation:
    """A call that needs a claim."""
    claim = CallClaim(chain="c", message=2, index=index)
    call = ToolCall(id=f"id-{index}", name=name, arguments=arguments)
    return ToolInvocation(run_id="r", agent="payer", turn=1, call=call, claim=claim)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"amount": 5}', '{ "amount":5}', True),
        ('{"a": 1, "b": {"c": 2, "d": 3}}', '{"b": {"d": 3, "c": 2}, "a": 1}', True),
        ('{"amount": 5}', '{"amount": 6}', False),
        ('{"amount": 5}', '{"amount": "5"}', False),
        ("{", "{", True),
        ("{", "{{", False),
        ("[" * 100_000, "[" * 100_000, True),
    ],
)
def test_a_call_is_known_by_its_arguments(one: str, other: str, same: bool) -> None:
    """The same arguments in another notation are the same call; malformed ones are compared as they are."""
    assert (key_of(invocation(one)) == key_of(invocation(other))) is same


def test_a_call_is_known_by_its_place_and_tool() -> None:
    """Equal calls at two places, and calls of two tools, are different ones; the provider's id does not matter."""
    assert len({key_of(invocation()), key_of(invocation(index=1)), key_of(invocation(name="refund"))}) == 3
    renamed = invocation()
    renamed.call.id = "another"
    assert key_of(renamed) == key_of(invocation())


async def test_a_claim_lets_its_call_begin_once_it_is_acknowledged() -> None:
    """Not before, and not if another attempt has it."""
    ledger, key = SwitchedLedger(), key_of(invocation())
    mine, other = Claim(ledger, key, "pay", "mine"), Claim(ledger, key, "pay", "other")
    with pytest.raises(ClaimExpired):
        mine.check()
    await mine.make()
    mine.check()
    with pytest.raises(ClaimedByAnother):
        await other.make()
    with pytest.raises(ClaimExpired):
        other.check()
    assert not mine.withdraw()
    assert other.withdraw()


async def test_a_frozen_worker_does_not_begin_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that was made too long ago does not let its call begin: another attempt may have taken it over."""
    now = 100.0
    monkeypatch.setattr("holdfast.activities.claims.time.monotonic", lambda: now)
    claim = Claim(SwitchedLedger(), key_of(invocation()), "pay", "mine")
    await claim.make()
    now += claims.CLAIM_VALID + 0.1
    with pytest.raises(ClaimExpired):
        claim.check()
    await claim.make()
    claim.check()
    assert claims.CLAIM_VALID < claims.TAKEOVER_AFTER


async def test_a_withdrawn_claim_lets_nothing_begin() -> None:
    """A call that was cancelled before it began in its thread does not begin later."""
    claim = Claim(SwitchedLedger(), key_of(invocation()), "pay", "mine")
    await claim.make()
    assert claim.withdraw()
    with pytest.raises(ClaimExpired):
        claim.check()


async def test_a_claim_without_an_answer_is_none() -> None:
    """If the store does not acknowledge the claim, the call does not begin."""
    with pytest.raises(NotClaimed, match="switched off"):
        await Claim(SwitchedLedger(on=False), key_of(invocation()), "pay", "mine").make()


def failed(cause: BaseException) -> ActivityError:
    """The failure of an activity."""
    error = ActivityError(
        "failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="w",
        activity_type="tool.pay",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error


def lost() -> ActivityError:
    """The failure of a call whose worker is gone."""
    return failed(TemporalTimeoutError("lost", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[]))


def refused(kind: str) -> ActivityError:
    """The failure of a call that was refused."""
    return failed(ApplicationError("refused", type=kind))


class Attempts:
    """What a run schedules, and what comes of it."""

    def __init__(self, *outcomes: ToolResult | Callable[[], ActivityError]) -> None:
        self._outcomes = list(outcomes)
        self.scheduled: list[tuple[bool, bool, ActivityOptions]] = []

    async def invoke(self, invocation: ToolInvocation, how: ActivityOptions) -> ToolResult:
        """Schedules an activity."""
        self.scheduled.append((invocation.claim is not None, invocation.lost, how))
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, ToolResult):
            return outcome
        raise outcome()


@pytest.mark.parametrize("loss", [lost, lambda: refused(ErrorType.CALL_LOST)])
async def test_a_claimed_call_that_stays_lost_is_unknown(loss: Callable[[], ActivityError]) -> None:
    """Temporal attempts it several times; if each attempt loses its worker, nobody knows."""
    attempts = Attempts(loss)
    assert (await call_once(VERIFIED, invocation(), attempts.invoke)).outcome == "unknown"
    assert attempts.scheduled == [(True, False, claimed_call(VERIFIED))]


async def test_a_call_without_a_claim_has_a_single_attempt() -> None:
    """It is made only because the first activity has certainly not begun it, and its result says so."""
    attempts = Attempts(lambda: refused(ErrorType.NO_CLAIM), ToolResult(content="receipt"))
    result = await call_once(PAY, invocation(), attempts.invoke)
    assert (result.content, result.outcome) == ("receipt", "unclaimed")
    assert attempts.scheduled == [(True, False, claimed_call(PAY)), (False, False, tool_call(PAY))]
    policy = tool_call(PAY)["retry_policy"]
    assert policy.maximum_attempts == 1


@pytest.mark.parametrize(
    ("tool", "last", "outcome"),
    [
        (PAY, [], "unknown"),
        (VERIFIED, [ToolResult(content="receipt", outcome="verified")], "verified"),
        (VERIFIED, [ToolResult(content="made now")], "unclaimed"),
        (VERIFIED, [lost], "unknown"),
    ],
)
async def test_a_lost_call_without_a_claim(
    tool: ToolSpec, last: list[ToolResult | Callable[[], ActivityError]], outcome: str
) -> None:
    """Its tool is asked what became of it, if it can tell, and only then is it made again."""
    attempts = Attempts(lambda: refused(ErrorType.NO_CLAIM), lost, *last)
    assert (await call_once(tool, invocation(), attempts.invoke)).outcome == outcome
    assert [asked for _, asked, _ in attempts.scheduled] == [False, False, *(True for _ in last)]


async def test_other_failures_are_the_callers() -> None:
    """A call that no worker serves, or that must wait for the ledger, has not begun: the run repeats it."""
    for kind in (ErrorType.NOT_SERVED, ErrorType.CLAIM_REQUIRED):
        with pytest.raises(ActivityError):
            await call_once(PAY, invocation(), Attempts(partial(refused, kind)).invoke)
