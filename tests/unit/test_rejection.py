"""Reasons why values are not accepted."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from holdfast.rejection import place_of, reason_of


class Color(enum.StrEnum):
    """Some choices."""

    RED = "red"
    BLUE = "blue"


CASES: tuple[tuple[Any, object, str], ...] = (
    (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
    (Annotated[float, Field(gt=0)], 0, "must be greater than 0"),
    (Annotated[float, Field(le=315_360_000)], 1e300, "must be at most 315,360,000"),
    (Annotated[float, Field(lt=0.5)], 1, "must be less than 0.5"),
    (Annotated[float, Field(allow_inf_nan=False)], float("nan"), "must be a finite number"),
    (int, "many", "must be a whole number"),
    (int, 1.5, "must be a whole number"),
    (float, "much", "must be a number"),
    (bool, "maybe", "must be true or false"),
    (str, 5, "must be text"),
    (Annotated[str, Field(min_length=1)], "", "must not be empty"),
    (Annotated[str, Field(max_length=64)], "x" * 65, "must have at most 64 characters"),
    (Literal["a", "b"], "c", "must be 'a' or 'b'"),
    (Color, "green", "must be 'red' or 'blue'"),
    (list[int], 5, "must be a list"),
    (dict[str, int], 5, "must be an object"),
    (Path, 5, "must be a path"),
)


@pytest.mark.parametrize(("kind", "value", "reason"), CASES, ids=[case[2] for case in CASES])
def test_a_reason_is_in_plain_words(kind: Any, value: object, reason: str) -> None:
    """A reason says what is accepted, not what Pydantic calls it."""
    with pytest.raises(ValidationError) as error:
        TypeAdapter(kind).validate_python(value)
    assert reason_of(error.value.errors()[0]) == reason


def test_the_place_of_a_value_is_a_path() -> None:
    """A place names each field and index on the way, below the field that the whole is the value of."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, list[int]]).validate_python({"a": [1, "many"]})
    [error] = caught.value.errors()
    assert place_of(error) == "a.1"
    assert place_of(error, below="limits") == "limits.a.1"
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("many")
    [error] = caught.value.errors()
    assert (place_of(error), place_of(error, below="limits")) == ("", "limits")
