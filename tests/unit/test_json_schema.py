"""Values against the schemas of tools: the check agrees with the reference implementation, and says what is wrong."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from holdfast import tool
from holdfast.json_schema import MAX_FAULTS, faults


class Colour(StrEnum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    """A model that refers to itself."""

    name: str
    below: list["Leaf"] = []  # noqa: UP037 - it is not defined yet


Leaf.model_rebuild()


@tool
def everything(  # noqa: PLR0917 - one parameter of each kind
    count: Annotated[int, Field(ge=1, le=9)],
    name: Annotated[str, Field(min_length=1, max_length=5, pattern="^[a-z]*$")],
    tree: Leaf,
    colour: Colour = Colour.RED,
    mode: Literal["a", "b"] | None = None,
    pair: tuple[int, str] = (1, ""),
    numbers: Annotated[list[float], Field(max_length=2)] = [],  # noqa: B006 - never called
    day: date | None = None,
    by_name: dict[str, int] = {},  # noqa: B006 - never called
) -> None:
    """Takes every kind of argument."""


SCHEMA = everything.spec.parameters
RIGHT: dict[str, Any] = {"count": 1, "name": "x", "tree": {"name": "a", "below": [{"name": "b"}]}}
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 12),
    st.floats(allow_nan=False),
    st.sampled_from(["", "a", "red", "toolong"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["name", "below", "x"]), inner, max_size=3),
        st.just([{"name": "a"}]),
    ),
    max_leaves=5,
)
NAMES: list[str] = [*everything.spec.parameters["properties"], "unknown"]  # type: ignore[misc]
ARGUMENTS = st.dictionaries(st.sampled_from(NAMES), VALUES).map(lambda made: {**RIGHT, **made})


@given(ARGUMENTS)
@settings(max_examples=400, deadline=None)
def test_it_agrees_with_the_reference_implementation(arguments: dict[str, Any]) -> None:
    """A value has faults here if, and only if, the library for JSON schemas finds any."""
    assert bool(faults(arguments, SCHEMA)) == (not jsonschema.Draft202012Validator(SCHEMA).is_valid(arguments))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"count": "1"}, 'count must be integer (got "1")'),
        ({"count": True}, "count must be integer (got true)"),
        ({"count": 10}, "count must be at most 9 (got 10)"),
        ({"colour": "green"}, 'colour must be one of "red", "blue" (got "green")'),
        ({"nam": 1}, "nam is not known; known: count, name, tree"),
        ({"tree": {"name": "a", "below": [{}]}}, "tree.below[0].name is required"),
        ({"numbers": [1, 2, 3]}, "numbers must have at most 2 items (got [1, 2, 3])"),
        ({"mode": "c"}, "mode matches none of its 2 forms"),
        ({"name": "A"}, 'name must match ^[a-z]*$ (got "A")'),
    ],
)
def test_a_fault_is_named(changed: dict[str, Any], told: str) -> None:
    """A fault says where it is, what is accepted there, and what was given."""
    [fault] = faults({**RIGHT, **changed}, SCHEMA)
    assert fault.startswith(told)


def test_the_number_of_faults_is_bounded() -> None:
    """A value with very many faults is refused with some of them."""
    assert len(faults(dict.fromkeys(map(str, range(50)), 1), SCHEMA)) == MAX_FAULTS
    assert not faults(RIGHT, SCHEMA)


@pytest.mark.parametrize("schema", [{"pattern": "("}, {"$ref": "#/$defs/none"}, {"type": "unheard"}, {"items": 3}])
def test_what_it_does_not_know_is_left_to_the_tool(schema: dict[str, Any]) -> None:
    """Keywords and references that it does not know accept every value."""
    assert faults(["x"], schema) == []


def test_references_in_a_circle_end() -> None:
    """A schema that refers to itself without end is a fault, not a hang."""
    assert faults({}, {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"})
