"""Types of answers: their JSON schemas, and the texts that are accepted as answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from holdfast import Agent, AgentDefinitionError
from holdfast.agents.conversion import definition_of
from holdfast.agents.output import MAX_SCHEMA_BYTES, BadOutput, Output
from holdfast.agents.resolve import resolve
from holdfast.output_schema import strict_schema, wire_schema


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float = 0


@dataclass
class Day:
    on: date


class Pair(TypedDict):
    left: int


class Color(enum.Enum):
    RED = "red"


class Node(BaseModel):
    children: list[Node] = []


@dataclass(frozen=True)
class TypeCase:
    """A type, an answer as a model writes it, its value, and its text in the result."""

    wanted: Any
    written: str
    value: Any
    text: str
    is_strict: bool = True


TYPES = [
    TypeCase(Item, '{"name": "rope"}', Item(name="rope"), '{"name":"rope","price":0.0}'),
    TypeCase(Item, 'Here:\n```json\n{"name": "rope"}\n```', Item(name="rope"), '{"name":"rope","price":0.0}'),
    TypeCase(Day, '{"on": "2030-01-02"}', Day(date(2030, 1, 2)), '{"on":"2030-01-02"}'),
    TypeCase(Pair, '{"left": "1"}', {"left": 1}, '{"left":1}'),
    TypeCase(list[Item], '{"result": []}', [], "[]"),
    TypeCase(list[int], "[1]", [1], "[1]"),
    TypeCase(Item | Day, '{"result": {"on": "2030-01-02"}}', Day(date(2030, 1, 2)), '{"on":"2030-01-02"}'),
    TypeCase(int, '{"result": 3}', 3, "3"),
    TypeCase(Color, '{"result": "red"}', Color.RED, '"red"'),
    TypeCase(Literal["a", "b"], '{"result": "b"}', "b", '"b"'),
    TypeCase(Node, '{"children": [{"children": []}]}', Node(children=[Node()]), '{"children":[{"children":[]}]}'),
    TypeCase(dict[str, int], '{"a": 1}', {"a": 1}, '{"a":1}', is_strict=False),
    TypeCase(tuple[int, str], '{"result": [1, "a"]}', (1, "a"), '[1,"a"]', is_strict=False),
    TypeCase({"type": "object", "required": ["a"]}, '{"a": 1}', {"a": 1}, '{"a":1}', is_strict=False),
]


@pytest.mark.parametrize("case", TYPES, ids=lambda case: f"{case.wanted} {case.written[:5]}")
def test_an_answer_becomes_a_value_and_its_json_again(case: TypeCase) -> None:
    """Whatever pydantic's TypeAdapter takes is told to the model as an object, and read from its JSON."""
    output = Output("a", case.wanted, retries=2)
    wire = wire_schema(output.spec.json_schema)
    assert wire["type"] == "object"
    assert (strict_schema(wire) is not None) is case.is_strict
    assert output.parse(case.written) == case.value
    text = output.shown(output.parse(case.written), case.written)
    assert (text, output.read(text)) == (case.text, case.value)


def test_the_strict_form_requires_everything_and_says_nothing_else() -> None:
    """Providers demand that each property is required; limits that they do not know are left to the validation."""
    assert strict_schema(wire_schema(Output("a", list[Item], retries=0).spec.json_schema)) == {
        "type": "object",
        "properties": {"result": {"type": "array", "items": {"$ref": "#/$defs/Item"}}},
        "required": ["result"],
        "additionalProperties": False,
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
                "required": ["name", "price"],
                "additionalProperties": False,
            }
        },
    }


@pytest.mark.parametrize(
    ("wanted", "written", "said"),
    [
        (Item, "no JSON", "not valid JSON: expected ident at line 1 column 2.\nAnswer with JSON only"),
        (Item, '{"name": ""}', '- name: String should have at least 1 character (got "")'),
        (Item, '{"result": {"name": "a"}}', "- name: Field required"),
        (Item, "[" * 100_000, "not valid JSON: recursion limit"),
        (int, '{"result": "many"}', "- the answer: Input should be a valid integer"),
        ({"type": "object", "required": ["a"]}, "{}", "- the answer: 'a' is a required property"),
        ({"type": "object"}, '{"a": NaN}', "not valid JSON"),
        ({"type": "object", "$ref": "http://example.invalid/s"}, "{}", "a reference that leads nowhere"),
        ({"type": "string", "maxLength": 2}, "abc", "'abc' is too long"),
    ],
)
def test_what_is_wrong_is_told_to_the_model(wanted: Any, written: str, said: str) -> None:
    """A wrong answer is described so that the model can repair it."""
    with pytest.raises(BadOutput) as caught:
        Output("a", wanted, retries=2).parse(written)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"output_type": {"type": "nothing"}}, "not a valid JSON schema: 'nothing'"),
        ({"output_type": {"x": float("nan")}}, "not a valid JSON schema"),
        ({"output_type": Output}, "not a type that pydantic can read from JSON"),
        ({"output_type": {"enum": ["x" * MAX_SCHEMA_BYTES]}}, "at most 65,536 are accepted"),
        ({"output_type": int, "output_retries": -1}, "output_retries=-1"),
        ({"output_validator": 3}, "output_validator=3 is not a function"),
        ({"input_guards": [lambda: None]}, "must take one value, or a value and a RunContext"),
        ({"output_guards": [len, len]}, "two of its output_guards are named 'len'"),
        ({"output_guards": len}, "must be a list of functions"),
    ],
)
def test_what_cannot_be_checked_is_refused_at_once(fields: dict[str, Any], said: str) -> None:
    """A type that JSON cannot express, a schema that is too large, and functions that cannot be called are refused."""
    with pytest.raises(AgentDefinitionError, match=said):
        Agent(name="a", **fields)


def test_a_class_defines_its_validator_and_stores_its_schema() -> None:
    """A subclass has its type and its validator as attributes; a registry stores the schema, and refuses functions."""

    class Clerk(Agent):
        output_type = list[Item]
        output_retries = 1

    spec = resolve(definition_of(Clerk), {})
    assert spec.output == Clerk().spec().output.model_copy(update={"code": False, "name": "output"})  # type: ignore[union-attr]

    class Strict(Clerk):
        def output_validator(self, items: list[Item]) -> list[Item]:
            return items or [Item(name=self.name)]

    validator = Strict().typed_output.validator  # type: ignore[union-attr]
    assert validator is not None
    assert validator([], None) == [Item(name="Strict")]
    with pytest.raises(AgentDefinitionError, match="output_validator, which a definition cannot express"):
        definition_of(Strict)
    assert definition_of(Strict(input_guards=[len]), without_code=True).output_schema == spec.output.json_schema  # type: ignore[union-attr]
