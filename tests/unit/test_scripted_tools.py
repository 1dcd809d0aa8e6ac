"""The scripted model with tools that it does not know: which it calls, with which arguments, and what it says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.models import SCRIPTED_MARK, SCRIPTED_MODEL
from holdfast.models.openai import OpenAIModel
from holdfast.scripted.model import respond
from holdfast.scripted.tool_use import ToolUse
from holdfast.scripted.toolbox import MAX_TOOLS, OfferedTool, Toolbox
from holdfast.testing import ModelServer
from holdfast.types import AgentSpec, Message, ToolSpec

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}


def offered(
    name: str, description: str, *, read_only: bool = True, optional: dict[str, Any] | None = None, **required: Any
) -> OfferedTool:
    """A tool with these parameters."""
    schema = {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}
    return OfferedTool(name, description, schema, read_only)


STOCK = offered("stock", "Returns how many pieces of an article are in stock.", article=TEXT)
WEATHER = offered("weather", "Returns the forecast of a city.", city=TEXT, optional={"days": INTEGER})
ADD = offered("add", "Adds two numbers.", a=NUMBER, b=NUMBER)
ORDERS = offered(
    "find_orders", "Finds orders of a customer.", customer=TEXT, optional={"state": {"enum": ["open", "closed"]}}
)
GET_ORDER = offered("get_order", "Returns an order.", order_id=INTEGER)
DELETE_ORDER = offered("delete_order", "Deletes an order.", read_only=False, order_id=INTEGER)
SEND_MAIL = offered("send_mail", "Sends a mail.", read_only=False, to={**TEXT, "format": "email"}, body=TEXT)
NOTE = offered("note", "Writes a note.", read_only=False, text=TEXT)
TIME = offered("time", "Returns the time of day.")


@dataclass(frozen=True)
class CallCase:
    """A question with the tools that are offered, and the calls of the first turn."""

    question: str
    tools: list[OfferedTool]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


CALLS = [
    CallCase("How many anchors are in stock?", [STOCK, WEATHER], [("stock", {"article": "anchor"})]),
    CallCase(
        "How many ropes and anchors are in stock?",
        [STOCK],
        [("stock", {"article": "rope"}), ("stock", {"article": "anchor"})],
    ),
    CallCase('How many "sea anchors" are in stock?', [STOCK], [("stock", {"article": "sea anchors"})]),
    CallCase("stock, article: bow thruster", [STOCK], [("stock", {"article": "bow"})]),
    CallCase("What will the weather be in Hamburg tomorrow?", [STOCK, WEATHER], [("weather", {"city": "Hamburg"})]),
    CallCase("The weather of Kiel, days=3", [WEATHER], [("weather", {"city": "Kiel", "days": 3})]),
    CallCase("How much is 2 plus 3.5?", [ADD], [("add", {"a": 2, "b": 3.5})]),
    CallCase(
        "Which orders of Meyer are open?", [ORDERS, STOCK], [("find_orders", {"customer": "Meyer", "state": "open"})]
    ),
    CallCase("Is order 17 to be deleted?", [DELETE_ORDER, GET_ORDER], [("get_order", {"order_id": 17})]),
    CallCase("Delete order 17.", [DELETE_ORDER], [("delete_order", {"order_id": 17})]),
    CallCase("Delete order 17?", [DELETE_ORDER]),
    CallCase("What does delete order do", [DELETE_ORDER]),
    CallCase("Forget order 17.", [DELETE_ORDER]),
    CallCase(
        'Send a mail to jo@example.org that says "Hello there".',
        [SEND_MAIL],
        [("send_mail", {"to": "jo@example.org", "body": "Hello there"})],
    ),
    CallCase("Note that the rope is worn.", [NOTE], [("note", {"text": "Note that the rope is worn."})]),
    CallCase("What time is it?", [TIME, STOCK], [("time", {})]),
    CallCase("anything at all", [STOCK, NOTE], [("stock", {"article": "anything"})]),
    CallCase("anything at all", [STOCK, WEATHER]),
    CallCase("", [STOCK]),
    CallCase("hello", []),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.question[:40])
def test_tools_that_fit_are_called(case: CallCase) -> None:
    """The tools that share most words with the question are called, with arguments from the question."""
    reply = Toolbox(case.question, case.tools, []).next_reply()
    assert [(call.name, call.arguments) for call in reply.tool_calls] == case.calls
    assert SCRIPTED_MARK in reply.text


def test_what_changes_something_is_called_last_and_once() -> None:
    """Tools that read are called first; each tool is called in one turn only, and the results are quoted."""
    uses: list[ToolUse] = []
    turns = []
    while calls := Toolbox("Delete the order 17.", [DELETE_ORDER, GET_ORDER], uses).next_reply().tool_calls:
        turns.append([call.name for call in calls])
        uses += [ToolUse(call.name, dict(call.arguments), "error: locked") for call in calls]  # type: ignore[arg-type]
        assert len(turns) <= MAX_TOOLS
    assert turns == [["get_order"], ["delete_order"]]
    answer = Toolbox("Delete the order 17.", [DELETE_ORDER, GET_ORDER], uses).next_reply().text
    assert "`delete_order(order_id=17)` failed" in answer
    assert "error: locked" in answer
    assert SCRIPTED_MARK in answer


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
words = st.sampled_from(["type", "properties", "required", "items", "enum", "anyOf", "$ref", "object", "array", "a"])
schemas = st.recursive(
    json_values | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.text(max_size=60), st.dictionaries(words, schemas, max_size=4), st.booleans())
def test_any_question_and_any_schema_have_a_reply(question: str, schema: dict[str, Any], read_only: bool) -> None:
    """Whatever a tool's schema is, the reply is a call with JSON arguments, or an answer."""
    tools = [OfferedTool("a_tool", "Does a thing.", schema, read_only)]
    for call in Toolbox(question, tools, []).next_reply().tool_calls:
        assert isinstance(json.loads(call.arguments_text), dict)


@pytest.fixture
async def model() -> AsyncIterator[OpenAIModel]:
    async with ModelServer(respond) as server:
        adapter = OpenAIModel(api_key="none", base_url=server.url, default_model=SCRIPTED_MODEL)
        yield adapter
        await adapter.close()


async def test_the_scripted_model_is_told_what_only_reads(model: OpenAIModel) -> None:
    """Over HTTP, the scripted model knows which tools are read-only; other models receive OpenAI's fields alone."""
    tools = [
        ToolSpec(name="look", activity="tool.look", read_only=True),
        ToolSpec(name="act", activity="tool.act"),
    ]
    question = Message(seq=0, role="user", content="hello")
    spec = AgentSpec(name="test", tools=tools)
    reply = await model.complete(spec, [question], on_text=lambda _: None)
    assert [call.name for call in reply.tool_calls] == ["look"]
    named = spec.model_copy(update={"model": "gpt-5-mini"})
    assert not (await model.complete(named, [question], on_text=lambda _: None)).tool_calls
