"""Arguments of tools as words of a command."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from holdfast import UsageError, tool
from holdfast.cli.tool_arguments import parsed_arguments


class Colour(enum.Enum):
    RED = "red"


class Point(BaseModel):
    x: int


@tool
def call(
    *,
    text: str,
    number: int = 1,
    part: float | None = None,
    is_on: bool = False,
    colour: Colour = Colour.RED,
    size: Literal[1, "big"] = 1,
    when: datetime | None = None,
    points: list[Point] | None = None,
    either: int | str = 0,
) -> None:
    """Takes all."""


GIVEN: list[tuple[str, Any]] = [
    ("number=3", 3),
    ("part=0.5", 0.5),
    ("part=2", 2),
    ("part=null", None),
    ("is_on=True", True),
    ("is_on=false", False),
    ("colour=red", "red"),
    ("size=1", 1),
    ("size=big", "big"),
    ("when=2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z"),
    ('points=[{"x": 1}]', [{"x": 1}]),
    ("either=7", 7),
    ("either=a=b", "a=b"),
]


@pytest.mark.parametrize(("word", "value"), GIVEN)
def test_values_are_read_as_the_types_of_the_tool_say(word: str, value: Any) -> None:
    """Text stays as it is, everything else is JSON; the tool accepts what was read."""
    read = parsed_arguments(["text=5", word], call.spec)
    assert read == {"text": "5", word.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["number=3"], "needs text; it takes text: string (required), number: integer (default 1)"),
        (["text=a", "nunber=3"], "has no argument 'nunber'; it takes"),
        (["text=a", "number=many"], "number must be integer, not 'many'"),
        (["text=a", "points=1"], "points must be array of object or null, not '1'"),
        (["text"], "write NAME=VALUE"),
        (["=a"], "write NAME=VALUE"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_words_are_refused_before_anything_is_called(words: list[str], said: str) -> None:
    """The message says what the tool takes."""
    with pytest.raises(UsageError) as refused:
        parsed_arguments(words, call.spec)
    assert said in str(refused.value)


def test_values_for_an_unknown_tool_are_json_or_text() -> None:
    """The code of an agent may be on the worker alone."""
    assert parsed_arguments(["a=1", "b=x", "c=[]", "d="], None) == {"a": 1, "b": "x", "c": [], "d": ""}
