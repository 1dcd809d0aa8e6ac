"""Results that a worker keeps in case Temporal has not received them."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from temporalio.testing import ActivityEnvironment

from holdfast.activities.finished import FinishedCalls


async def answer(finished: FinishedCalls, run: str, call: str, make: Callable[[], Awaitable[str]]) -> str:
    """Makes a call as an activity of a run."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, workflow_run_id=run, activity_id=call)
    return await environment.run(finished.once, make)


def returning(text: str) -> Callable[[], Awaitable[str]]:
    """A call with this result."""

    async def make() -> str:
        return text

    return make


async def test_a_finished_call_is_not_repeated_until_its_run_has_ended() -> None:
    """The second attempt of a call receives the first one's result; the end of the run drops its results only."""
    finished = FinishedCalls()
    assert await answer(finished, "a", "1", returning("first")) == "first"
    assert await answer(finished, "a", "1", returning("second")) == "first"
    assert await answer(finished, "b", "1", returning("other")) == "other"
    finished.forget("a")
    assert len(finished) == 1
    assert await answer(finished, "a", "1", returning("third")) == "third"


async def test_results_are_limited_by_their_memory() -> None:
    """The oldest results make room for new ones; one that is larger than everything is returned and not kept."""
    finished = FinishedCalls(max_bytes=10_000)
    for number in range(20):
        await answer(finished, "a", str(number), returning(f"{number}" + "x" * 2_000))
    assert len(finished) == 4
    assert len(await answer(finished, "a", "large", returning("x" * 20_000))) == 20_000
    assert len(finished) == 4
