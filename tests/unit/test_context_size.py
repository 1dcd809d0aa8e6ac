"""The size of the context: when it is compacted, and when that no longer helps."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.messages import Compaction, ContextUse
from holdfast.model_reply import ModelReply
from holdfast.protocol import Plan, RunRequest
from holdfast.types import AgentSpec, Usage
from holdfast.workflows.run.context_size import ContextSize
from holdfast.workflows.run.state import RunState

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def reply(tokens: int | None = None, window: int = 10_000) -> ModelReply:
    said = ModelReply(content="", model="m", finish_reason="stop", usage=Usage(), seconds=0)
    if tokens is not None:
        said.context = ContextUse(tokens=tokens, window=window)
    return said


def done(before: int, after: int) -> Compaction:
    return Compaction(tokens_before=before, tokens_after=after)


def test_the_window_is_that_of_the_agent_that_acts() -> None:
    """A run that is handed to an agent with another model is compacted by the window of that, once it is known."""
    team = {
        "large": AgentSpec(name="large", model="l"),
        "small": AgentSpec(name="small", model="s", context_window=8_000),
    }
    plan = Plan(spec=AgentSpec(name="a", team=team), timeout=60, expected_model="m", workspace="/w")
    request = RunRequest(agent="a", input="Hello.")
    state = RunState.begin("run", request, plan, started_at=NOW, now=NOW, chain="c")
    size, seen = state.context.size, []
    size.observe(reply(9_000))
    for active in (None, "large", "small", None):
        state.act_as(active)
        seen.append((size.window, size.is_due))
    assert seen == [(10_000, True), (None, False), (8_000, True), (None, False)]


def test_it_is_due_at_80_percent() -> None:
    """The provider's count of the last call and what was added since then count."""
    size = ContextSize()
    seen = [size.is_due]
    size.observe(reply(7_000))
    for added in (0, 3_900, 200):
        size.add("x" * added)
        seen.append(size.is_due)
    assert seen == [False, False, False, True]
    assert size.order(5).model_dump(exclude_unset=True) == {"tokens": 8_025, "window": 10_000}
    size.observe(reply())
    assert not size.is_due


def test_what_is_carried() -> None:
    """The size outlives continue-as-new; a run that knows nothing carries nothing."""
    assert ContextSize().carry().model_fields_set == set()
    size = ContextSize()
    size.observe(reply(7_000))
    size.add("x" * 4_400)
    size.settle(3, done(8_100, 8_000))
    again = ContextSize(size.carry())
    assert (again.estimate, again.window, again.is_due) == (8_000, 10_000, True)
    again.settle(4, done(8_000, 7_900))
    assert again.is_thrashing(4)


def test_two_without_gain_within_three_turns() -> None:
    """Two compactions that free little, within three turns, end the run; later ones begin to count anew."""
    size = ContextSize()
    size.observe(reply(9_000))
    size.settle(3, done(9_000, 8_900))
    assert not size.is_thrashing(3)
    assert size.order(4).harder
    assert not size.order(6).harder
    size.settle(6, done(9_000, 8_900))
    assert not size.is_thrashing(6)
    size.settle(8, done(9_000, 8_900))
    assert size.is_thrashing(8)


def test_with_gain_it_may_happen_in_each_turn() -> None:
    """Compactions that help never end a run."""
    size = ContextSize()
    for turn in range(1, 10):
        size.observe(reply(9_000))
        size.settle(turn, done(9_000, 5_000))
        assert not size.is_thrashing(turn)
        assert not size.is_due


def test_an_overflow_tells_the_window() -> None:
    """A provider that refuses a context says how much it accepts; if it does so again, the compaction did not help."""
    size = ContextSize()
    size.overflowed(2, limit=8_000, size=9_000)
    assert size.order(2).model_dump(exclude_unset=True) == {"tokens": 9_000, "window": 8_000}
    size.settle(2, done(9_000, 4_000))
    assert not size.is_thrashing(2)
    size.overflowed(2, limit=None, size=None)
    assert size.estimate == 8_000
    assert size.order(2).harder
    size.settle(2, done(8_000, 2_000))
    assert not size.is_thrashing(2)
    size.overflowed(2, limit=None, size=None)
    assert size.is_thrashing(2)


def test_an_overflow_of_unknown_size() -> None:
    """Without any number, the compaction goes by the length of the context."""
    size = ContextSize()
    size.overflowed(2, limit=None, size=None)
    assert size.order(2).model_dump(exclude_unset=True) == {"tokens": 0}
