"""The worker's cache of contexts."""

from __future__ import annotations

import tracemalloc

from holdfast.activities.context_cache import MARKS, ContextCache
from holdfast.activities.weight import weight
from holdfast.types import AgentSpec, Context, Message, ToolCall, ToolSpec, TranscriptRef

SPEC = AgentSpec(name="cached")


def context(count: int) -> Context:
    return Context(spec=SPEC, messages=[Message(seq=seq, role="user", content=f"m{seq}") for seq in range(count)])


def ref(seq: int, digest: str = "right") -> TranscriptRef:
    return TranscriptRef(seq=seq, digest=f"{digest}-{seq}")


def test_a_point_is_found_by_number_and_digest() -> None:
    """A transcript is found only by both its number and its digest."""
    cache = ContextCache()
    cache.put("run", ref(5), context(4))
    found = cache.get("run", ref(5))
    assert found is not None
    assert [message.content for message in found.messages] == ["m0", "m1", "m2", "m3"]
    assert cache.get("run", ref(5, "wrong")) is None
    assert cache.get("run", ref(4)) is None
    assert cache.get("other", ref(5)) is None


def test_earlier_points_of_a_run_stay_known_for_a_while() -> None:
    """Earlier points of a run stay cached, as the mirror may lag and calls may be repeated."""
    cache = ContextCache()
    for turn in range(1, MARKS + 2):
        cache.put("run", ref(turn), context(turn))
    assert cache.get("run", ref(1)) is None
    for turn in range(2, MARKS + 2):
        found = cache.get("run", ref(turn))
        assert found is not None
        assert len(found.messages) == turn


def test_the_run_that_was_used_longest_ago_goes_first() -> None:
    """The least recently used run is evicted first."""
    one = weight(context(2).messages) + weight(SPEC)
    cache = ContextCache(max_bytes=int(2.5 * one))
    cache.put("a", ref(1), context(2))
    cache.put("b", ref(1), context(2))
    assert cache.get("a", ref(1)) is not None
    cache.put("c", ref(1), context(2))
    assert cache.get("b", ref(1)) is None
    assert cache.get("a", ref(1)) is not None
    assert cache.get("c", ref(1)) is not None


def test_the_limit_is_one_of_memory() -> None:
    """Contexts count with the memory that they occupy, definitions and calls of tools included."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [loaded(number) for number in range(50)]
        occupied = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    counted = sum(weight(each) for each in kept)
    assert 0.7 < counted / occupied < 1.6


def loaded(number: int) -> Context:
    """A context of a run with one tool, as it comes from Temporal."""
    tool = ToolSpec(name="look", activity="tool.look", parameters={"properties": {"word": {"type": "string"}}})
    call = ToolCall(id=f"c{number}", name="look", arguments='{"word": "rope"}')
    messages = [
        Message(seq=0, role="user", content=f"question {number}"),
        Message(seq=1, role="assistant", content="", tool_calls=[call]),
        Message(seq=2, role="tool", content=f"answer {number}", tool_call_id=call.id),
    ]
    whole = Context(spec=AgentSpec(name="cached", tools=[tool]), messages=messages)
    return Context.model_validate_json(whole.model_dump_json())


def test_an_ended_run_is_dropped() -> None:
    """A run that has ended occupies nothing; dropping an unknown one changes nothing."""
    cache = ContextCache()
    cache.put("run", ref(1), context(2))
    cache.drop("run")
    cache.drop("run")
    assert (len(cache), cache.get("run", ref(1))) == (0, None)
