"""The conformance suite of every ledger.

Each check uses runs of its own, so all checks can share one ledger:

    await check_ledger(lambda: MyLedger())

or, with pytest, one test for each:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_ledger(check):
        await check(make())
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from holdfast.ports.ledger import CallKey, Ledger, LostCall, Recorded
from holdfast.storage.assertions import require, same

Check = Callable[[Ledger], Awaitable[None]]

CONCURRENCY = 25
CLOCKS = timedelta(minutes=1)  # difference between the clocks of the database and of this process
HOSTILE_IDS = (
    "",
    ":",
    "/",
    "'; DELETE ledger; --",
    "⟩",
    "`",
    '"',
    "漢字 \U0001f600",
    " ",
    "\n",
    "$row",
    "\uffff",
    "e\u0301",
)
LARGE = bytes(range(256)) * 1024


async def check_ledger(make: Callable[[], Ledger]) -> None:
    """Runs every check.

    Raises:
        AssertionError: the ledger violates a guarantee; the message says which.
    """
    for check in CHECKS:
        await check(make())


def _key() -> CallKey:
    return CallKey(f"run-{uuid.uuid4().hex}", "chain", 4, 0, "f" * 64)


async def a_call_that_is_not_claimed_is_unknown(ledger: Ledger) -> None:
    """`find` returns `None` for it, and a result without a claim is refused."""
    key = _key()
    same(await ledger.find(key), None, "nothing is known of a call that is not claimed")
    same(await ledger.record(key, owner="a", result=b"1"), Recorded.REFUSED, "a result needs a claim")
    same(await ledger.give_up(key, owner="a"), None, "only a claimed call is given up")
    same(await ledger.find(key), None, "a refused result leaves nothing")


async def the_first_claim_wins(ledger: Ledger) -> None:
    """Later claims return the first one; the owner may claim again."""
    key = _key()
    for owner in ("a", "b", "a"):
        found = await ledger.claim(key, owner=owner, tool="pay")
        same((found.owner, found.result), ("a", None), "a call belongs to who claimed it first")
        require(0 <= found.age < CLOCKS.total_seconds(), "the age is that of the claim, in seconds")
    found_later = await ledger.find(key)
    require(found_later is not None and found_later.owner == "a", "a claim can be read")


async def one_of_many_claims_wins(ledger: Ledger) -> None:
    """Of concurrent claims, exactly one is the call's."""
    key = _key()
    owners = [f"owner-{number}" for number in range(CONCURRENCY)]
    found = await asyncio.gather(*(ledger.claim(key, owner=owner, tool="pay") for owner in owners))
    same(len({entry.owner for entry in found}), 1, "all claimants are told the same owner")
    require(found[0].owner in owners, "the owner is one of them")


async def a_result_is_recorded_once(ledger: Ledger) -> None:
    """The owner's first result stays, and claims return it."""
    key = _key()
    await ledger.claim(key, owner="a", tool="pay")
    same(await ledger.record(key, owner="b", result=b"2"), Recorded.REFUSED, "only the owner records a result")
    same(await ledger.record(key, owner="a", result=LARGE), Recorded.IN_TIME, "the owner's result is recorded")
    same(await ledger.record(key, owner="a", result=b"other"), Recorded.IN_TIME, "recording again is not an error")
    same((await ledger.claim(key, owner="b", tool="pay")).result, LARGE, "the first result stays")
    found = await ledger.find(key)
    require(found is not None and found.result == LARGE, "a result can be read")


async def an_empty_result_is_a_result(ledger: Ledger) -> None:
    """An empty result differs from none."""
    key = _key()
    await ledger.claim(key, owner="a", tool="pay")
    await ledger.record(key, owner="a", result=b"")
    same((await ledger.claim(key, owner="b", tool="pay", instead_of="a")).result, b"", "an empty result is a result")


async def a_claim_is_taken_over(ledger: Ledger) -> None:
    """Only from the named owner, and only without a result; the former owner has lost it."""
    key = _key()
    await ledger.claim(key, owner="a", tool="pay")
    same((await ledger.claim(key, owner="c", tool="pay", instead_of="b")).owner, "a", "another owner's claim stays")
    same((await ledger.claim(key, owner="b", tool="pay", instead_of="a")).owner, "b", "the claim is taken over")
    same(await ledger.record(key, owner="a", result=b"late"), Recorded.REFUSED, "the former owner records no result")
    same((await ledger.claim(key, owner="a", tool="pay")).owner, "b", "the former owner cannot begin the call")
    same(await ledger.record(key, owner="b", result=b"1"), Recorded.IN_TIME, "the new owner records the result")
    found = await ledger.claim(key, owner="c", tool="pay", instead_of="b")
    same((found.owner, found.result), ("b", b"1"), "a call with a result is not taken over")


async def one_of_many_takes_a_claim_over(ledger: Ledger) -> None:
    """Of concurrent attempts to take a claim over, exactly one succeeds."""
    key = _key()
    await ledger.claim(key, owner="lost", tool="pay")
    owners = [f"owner-{number}" for number in range(CONCURRENCY)]
    found = await asyncio.gather(*(ledger.claim(key, owner=owner, tool="pay", instead_of="lost") for owner in owners))
    same(len({entry.owner for entry in found}), 1, "all are told the same owner")


async def a_result_after_giving_up_is_late(ledger: Ledger) -> None:
    """Giving up and recording are decided by which comes first; a late result is kept."""
    key = _key()
    await ledger.claim(key, owner="a", tool="pay")
    other = await ledger.give_up(key, owner="b")
    require(other is not None and other.owner == "a", "the entry is returned")
    found = await ledger.give_up(key, owner="a")
    require(found is not None and found.result is None, "a call without a result is given up")
    same((await ledger.claim(key, owner="b", tool="pay")).owner, "a", "a call that is given up is not free")
    same(await ledger.record(key, owner="a", result=b"1"), Recorded.LATE, "its result is late")
    same((await ledger.claim(key, owner="b", tool="pay")).result, b"1", "a late result is kept")
    later = await ledger.give_up(key, owner="a")
    require(later is not None and later.result == b"1", "a call with a result is not given up")


async def giving_up_races_with_recording(ledger: Ledger) -> None:
    """Either the result is in time and seen, or it is late."""
    for _ in range(CONCURRENCY):
        key = _key()
        await ledger.claim(key, owner="a", tool="pay")
        recorded, found = await asyncio.gather(
            ledger.record(key, owner="a", result=b"1"), ledger.give_up(key, owner="a")
        )
        is_seen = found is not None and found.result == b"1"
        same(recorded, Recorded.IN_TIME if is_seen else Recorded.LATE, "both writers agree on who was first")


async def a_call_that_was_taken_over_is_not_late(ledger: Ledger) -> None:
    """Giving a call up concerns its owner at that time."""
    key = _key()
    await ledger.claim(key, owner="a", tool="pay")
    await ledger.give_up(key, owner="a")
    await ledger.claim(key, owner="b", tool="pay", instead_of="a")
    same(await ledger.record(key, owner="b", result=b"1"), Recorded.IN_TIME, "the new owner's result is in time")


async def lost_calls_are_listed(ledger: Ledger) -> None:
    """Those that were given up and not taken over, by place, each with whether it has a result."""
    key = _key()
    places = [(4, 0), (4, 2), (11, 0), (12, 0), (13, 0)]
    for message, index in reversed(places):
        call = replace(key, message=message, index=index)
        await ledger.claim(call, owner="a", tool=f"tool {message}")
        if message != 12:
            await ledger.give_up(call, owner="a")
    await ledger.record(replace(key, message=11), owner="a", result=b"1")
    await ledger.claim(replace(key, message=13), owner="b", tool="tool 13", instead_of="a")
    await ledger.give_up(replace(key, chain="later"), owner="a")
    expected = [LostCall(4, 0, "tool 4", False), LostCall(4, 2, "tool 4", False), LostCall(11, 0, "tool 11", True)]
    same(await ledger.lost(key.run_id, key.chain), expected, "lost calls are listed in order")
    same(await ledger.lost(key.run_id, "later"), [], "calls of another chain are not")


async def calls_are_separate(ledger: Ledger) -> None:
    """Each part of the key separates calls, whatever text it has."""
    key = _key()
    others = [
        replace(key, run_id=f"{key.run_id}x"),
        replace(key, chain="other"),
        replace(key, message=5),
        replace(key, index=1),
        replace(key, fingerprint="0" * 64),
        *(replace(key, run_id=f"{key.run_id}{text}", chain=f"x{text}") for text in HOSTILE_IDS),
    ]
    for number, each in enumerate([key, *others]):
        owner = f"owner-{number}"
        same((await ledger.claim(each, owner=owner, tool="pay")).owner, owner, f"calls are separate: {each!r}")


async def a_run_is_deleted(ledger: Ledger) -> None:
    """All calls of one chain, and no others."""
    key = _key()
    later, longer = replace(key, chain="later"), replace(key, run_id=f"{key.run_id}0")
    mine = [key, replace(key, message=9, index=3)]
    for each in [*mine, later, longer]:
        await ledger.claim(each, owner="a", tool="pay")
    await ledger.delete(key.run_id, key.chain)
    await ledger.delete(key.run_id, key.chain)
    same([await ledger.find(each) for each in mine], [None, None], "the calls of the run are deleted")
    require(await ledger.find(later) is not None, "a later run of the same id keeps its calls")
    require(await ledger.find(longer) is not None, "another run keeps its calls")


async def old_entries_are_pruned(ledger: Ledger) -> None:
    """By the time of their claim."""
    key, now = _key(), datetime.now(UTC)
    await ledger.claim(key, owner="a", tool="pay")
    await ledger.prune(now - CLOCKS)
    require(await ledger.find(key) is not None, "newer entries stay")
    require(await ledger.prune(now + CLOCKS) >= 1, "the number of deleted entries is returned")
    same(await ledger.find(key), None, "older entries are deleted")


CHECKS: tuple[Check, ...] = (
    a_call_that_is_not_claimed_is_unknown,
    the_first_claim_wins,
    one_of_many_claims_wins,
    a_result_is_recorded_once,
    an_empty_result_is_a_result,
    a_claim_is_taken_over,
    one_of_many_takes_a_claim_over,
    a_result_after_giving_up_is_late,
    giving_up_races_with_recording,
    a_call_that_was_taken_over_is_not_late,
    lost_calls_are_listed,
    calls_are_separate,
    a_run_is_deleted,
    old_entries_are_pruned,
)
