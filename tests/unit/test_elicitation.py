"""Answers of people to questions of MCP servers: what their text means."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.elicitation import Elicitation, ServerQuestion, asked_text, options_of, read_answer


def form(**fields: dict[str, Any]) -> ServerQuestion:
    return ServerQuestion(message="Well?", form={"type": "object", "properties": fields, "required": list(fields)})


SURE = form(sure={"type": "boolean"})
COLOR = form(color={"type": "string", "enum": ["red", "blue"]})
TITLED = form(color={"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "b", "title": "Blue"}]})
SEVERAL = form(colors={"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}})
COUNT = form(count={"type": "integer", "minimum": 1})
TEXT = form(name={"type": "string"})
BOTH = form(name={"type": "string"}, count={"type": "integer"})
PAGE = ServerQuestion(message="Sign in.", url="https://example.com/sign-in")
CONSENT = ServerQuestion(message="Go on?", form={"type": "object", "properties": {}})


@pytest.mark.parametrize(
    ("question", "text", "action", "content"),
    [
        (SURE, "yes", "accept", {"sure": True}),
        (SURE, "False", "accept", {"sure": False}),
        (COLOR, " blue ", "accept", {"color": "blue"}),
        (TITLED, "b", "accept", {"color": "b"}),
        (SEVERAL, "red, blue", "accept", {"colors": ["red", "blue"]}),
        (SEVERAL, '["red"]', "accept", {"colors": ["red"]}),
        (COUNT, "12", "accept", {"count": 12}),
        (TEXT, "  Ada ", "accept", {"name": "  Ada "}),
        (TEXT, '{"name": "decline"}', "accept", {"name": "decline"}),
        (BOTH, '{"name": "Ada", "count": 2}', "accept", {"name": "Ada", "count": 2}),
        (PAGE, "accept", "accept", None),
        (CONSENT, "yes", "accept", {}),
        (TEXT, "Decline", "decline", None),
        (BOTH, "cancel", "cancel", None),
    ],
)
def test_a_text_is_an_answer(question: ServerQuestion, text: str, action: str, content: dict[str, Any] | None) -> None:
    """One field takes its value, several a JSON object; two words refuse."""
    answer = read_answer(text, question)
    assert (answer.action, answer.content) == (action, content)


@pytest.mark.parametrize(
    ("question", "text", "reason"),
    [
        (SURE, "perhaps", "sure must be boolean"),
        (COLOR, "green", 'color must be one of "red", "blue"'),
        (TITLED, "green", "color"),
        (SEVERAL, "green", "colors"),
        (COUNT, "0", "count must be at least 1"),
        (COUNT, "some", "count must be integer"),
        (BOTH, "Ada", "a JSON object with the fields name, count"),
        (BOTH, '{"name": "Ada"}', "count is required"),
        (PAGE, "later", "must be 'accept' or 'decline'"),
        (CONSENT, "maybe", "must be 'accept' or 'decline'"),
    ],
)
def test_what_a_server_would_refuse_is_refused(question: ServerQuestion, text: str, reason: str) -> None:
    """The reason says what is accepted."""
    with pytest.raises(ValueError, match=reason):
        read_answer(text, question)


def test_a_person_reads_what_is_accepted() -> None:
    """The text names the fields, and choices are those that can be answered."""
    assert "Open https://example.com/sign-in" in asked_text("docs", PAGE)
    assert "- count: integer" in asked_text("docs", BOTH)
    assert asked_text("docs", COLOR).splitlines()[:2] == ["docs asks: Well?", "The answer is red or blue."]
    assert [options_of(each) for each in (SURE, COLOR, TEXT, BOTH, PAGE)] == [
        ["yes", "no", "decline"],
        ["red", "blue", "decline"],
        [],
        [],
        ["accept", "decline"],
    ]
    assert all(read_answer(option, each) for each in (SURE, COLOR, PAGE, CONSENT) for option in options_of(each))


def test_questions_are_answered_in_their_order() -> None:
    """Answers to earlier questions of the call do not count for those that are asked now."""
    first = read_answer("yes", SURE)
    asked = Elicitation(server="docs", questions=[COUNT, TEXT], answers=[first], earlier=1)
    assert asked.unanswered == COUNT
    asked = asked.answered(read_answer("3", COUNT))
    assert asked.unanswered == TEXT
    assert asked.answered(read_answer("Ada", TEXT)).unanswered is None
    again = asked.answered_by([*asked.answers, read_answer("Ada", TEXT)])
    assert again is not None
    assert [answer.content for answer in again.answers] == [{"count": 3}, {"name": "Ada"}]
    assert asked.answered_by([first]) is None
