"""Decisions of a run, as tables."""

import json
from dataclasses import dataclass

import pytest

from holdfast.types import Message, ToolCall, ToolSpec
from holdfast.workflows.run.turn import (
    CallModel,
    CallTools,
    Finish,
    GiveUp,
    Step,
    describe_call,
    next_step,
    refuse_call,
)

CALL = ToolCall(id="1", name="search", arguments='{"query": "x"}')


def calls_of(message: Message | None) -> list[ToolCall]:
    """The calls of a reply, none of which has a result yet."""
    return message.tool_calls if message else []


@dataclass(frozen=True)
class StepCase:
    name: str
    last: Message | None
    turns: int
    expected: type[Step]


STEPS = [
    StepCase("the question stands", Message(seq=1, role="user", content="hi"), 0, CallModel),
    StepCase("tools have answered", Message(seq=3, role="tool", content="found"), 1, CallModel),
    StepCase("a new execution begins between two turns", None, 4, CallModel),
    StepCase("the model asks for tools", Message(seq=2, role="assistant", tool_calls=[CALL]), 1, CallTools),
    StepCase("it asks in its last turn", Message(seq=2, role="assistant", tool_calls=[CALL]), 5, CallTools),
    StepCase("the model answers", Message(seq=2, role="assistant", content="so"), 1, Finish),
    StepCase("it answers in its last turn", Message(seq=2, role="assistant", content="so"), 5, Finish),
    StepCase("no turn is left", Message(seq=3, role="tool", content="found"), 5, GiveUp),
    StepCase("no turn is left after continue-as-new", None, 5, GiveUp),
]


@pytest.mark.parametrize("case", STEPS, ids=lambda case: case.name)
def test_next_step(case: StepCase) -> None:
    """Each state leads to the right next step."""
    step = next_step(case.last, pending=calls_of(case.last), finish_reason="stop", turns=case.turns, max_turns=5)
    assert isinstance(step, case.expected)
    assert not (isinstance(step, Finish) and step.fault)


@pytest.mark.parametrize(
    ("text", "finish_reason", "fault"),
    [
        ("so", "stop", None),
        ("so", "tool_calls", None),
        ("so", "whatever", None),
        ("so far", "length", "AnswerCutOff"),
        ("", "length", "AnswerCutOff"),
        ("so", "content_filter", "AnswerFiltered"),
        ("", "stop", "AnswerEmpty"),
        (" \n", "stop", "AnswerEmpty"),
    ],
)
def test_what_is_not_an_answer_is_a_fault(text: str, finish_reason: str, fault: str | None) -> None:
    """A reply that was cut off or withheld, or is empty, is not an answer; the message names the finish reason."""
    reply = Message(seq=2, role="assistant", content=text)
    step = next_step(reply, pending=calls_of(reply), finish_reason=finish_reason, turns=1, max_turns=5)
    assert isinstance(step, Finish)
    assert (step.fault and step.fault.type) == fault
    assert step.fault is None or f"finish_reason {finish_reason}" in step.fault.message


def test_a_cut_off_call_is_made() -> None:
    """A reply with tool calls is followed by these calls, whatever its finish reason says."""
    reply = Message(seq=2, role="assistant", tool_calls=[CALL])
    assert isinstance(
        next_step(reply, pending=calls_of(reply), finish_reason="length", turns=1, max_turns=5), CallTools
    )


def test_a_turn_that_continued_as_new_makes_its_other_calls() -> None:
    """An execution that begins within a turn makes the calls that have no result, also in the last turn."""
    step = next_step(None, pending=[CALL], finish_reason="tool_calls", turns=5, max_turns=5)
    assert step == CallTools([CALL])


def test_give_up_names_the_limit() -> None:
    """A run that exceeds its limit names the limit and what to do."""
    step = next_step(None, pending=[], finish_reason=None, turns=7, max_turns=7)
    assert isinstance(step, GiveUp)
    assert step.error.type == "MaxTurnsExceeded"
    assert "7 turns" in step.error.message
    assert "max_turns" in step.error.message


def test_unknown_tool_is_refused_with_the_known_ones() -> None:
    """The refusal of an unknown tool lists the known ones."""
    tools = {"search": ToolSpec(name="search", activity="tool.search")}
    reason = refuse_call(ToolCall(id="1", name="serch"), tools)
    assert reason == "there is no tool 'serch'; the tools are: search"
    assert refuse_call(CALL, tools) is None


@dataclass(frozen=True)
class LineCase:
    call: ToolCall
    line: str


LINES = [
    LineCase(ToolCall(id="1", name="read", arguments='{"path": "notes.md"}'), "read(path=notes.md)"),
    LineCase(ToolCall(id="1", name="read", arguments="{}"), "read()"),
    LineCase(ToolCall(id="1", name="read", arguments="{broken"), "read({broken)"),
    LineCase(ToolCall(id="1", name="read", arguments="[1, 2]"), "read([1, 2])"),
    LineCase(ToolCall(id="1", name="read", arguments="[" * 100_000), f"read({'[' * 39}…)"),
    LineCase(ToolCall(id="1", name="w", arguments='{"a": "l1\\nl2", "n": {"b": 1}}'), 'w(a=l1 l2, n={"b": 1})'),
    LineCase(ToolCall(id="1", name="w", arguments='{"a": "' + "x" * 99 + '"}'), f"w(a={'x' * 39}…)"),
]


@pytest.mark.parametrize("case", LINES, ids=lambda case: case.line[:20])
def test_describe_call(case: LineCase) -> None:
    """The description of a call is short and valid for Temporal's UI."""
    assert describe_call(case.call) == case.line


@pytest.mark.parametrize("arguments", ["{broken", "[" * 100_000], ids=["broken", "deep"])
def test_arguments_that_do_not_parse_go_back_as_text(arguments: str) -> None:
    """Arguments that are not JSON are returned to the model as text."""
    call = ToolCall(id="1", name="read", arguments=arguments)
    assert json.loads(call.valid_arguments) == {"malformed": arguments}
