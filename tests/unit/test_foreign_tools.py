"""Tools and agents of other libraries: objects of the shape that openai-agents, LangChain and pydantic-ai have.

The libraries are not needed, by Holdfast or by these tests. The shapes are those of openai-agents 0.24,
langchain-core 1.8 and pydantic-ai 2.68.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, create_model

from holdfast import Agent, ToolError
from holdfast.agents.tool import ToolContext
from holdfast.errors import AgentDefinitionError

CONTEXT = ToolContext(
    run_id="r1", call_id="c1", agent="a", turn=1, attempt=1, workspace=Path("/w"), context={"user": "ann"}
)
SCHEMA = {"type": "object", "title": "stock_args", "properties": {"article": {"title": "Article", "type": "string"}}}


class Article(BaseModel):
    """The arguments of the tools."""

    article: str
    pieces: int = 1


@dataclass
class FunctionTool:
    """openai-agents."""

    name: str
    description: str
    params_json_schema: dict[str, Any]
    on_invoke_tool: Callable[[Any, str], Awaitable[Any]]
    is_enabled: bool | Callable[..., bool] = True
    tool_input_guardrails: list[Any] | None = None
    tool_output_guardrails: list[Any] | None = None
    needs_approval: bool | Callable[..., bool] = False
    timeout_seconds: float | None = None


@dataclass
class OpenAIAgent:
    """openai-agents."""

    name: str
    instructions: str | Callable[..., str] | None = None
    handoff_description: str | None = None
    tools: list[Any] = field(default_factory=list)
    handoffs: list[Any] = field(default_factory=list)
    model: Any = None
    output_type: type | None = None


@dataclass
class Handoff:
    """openai-agents, as its function `handoff` returns it."""

    agent_name: str
    _agent_ref: Callable[[], OpenAIAgent]
    input_filter: Callable[..., Any] | None = None
    is_enabled: bool | Callable[..., bool] = True
    on_invoke_handoff: Callable[..., Any] = print


class ToolException(Exception):
    """LangChain."""


class ModelRetry(Exception):
    """pydantic-ai."""


@dataclass
class StructuredTool:
    """LangChain, whose tools can also be called, which is deprecated."""

    name: str
    description: str
    args_schema: type[BaseModel]
    coroutine: Callable[..., Awaitable[Any]]
    return_direct: bool = False
    tool_call_schema: Any = Article

    async def ainvoke(self, arguments: dict[str, Any]) -> Any:
        return await self.coroutine(**arguments)

    def __call__(self, _text: str) -> Any:
        raise NotImplementedError


@dataclass
class FunctionSchema:
    """pydantic-ai."""

    json_schema: dict[str, Any]
    validator: Any
    function: Callable[..., Any]
    takes_ctx: bool

    async def call(self, arguments: dict[str, Any], ctx: Any) -> Any:
        return await self.function(*([ctx] if self.takes_ctx else []), **arguments)


@dataclass
class PydanticTool:
    """pydantic-ai."""

    function_schema: FunctionSchema
    name: str
    description: str
    takes_ctx: bool
    requires_approval: bool = False
    timeout: float | None = None
    prepare: Any = None
    args_validator: Any = None


async def stock(article: str, pieces: int = 1) -> dict[str, Any]:
    if article == "anchor":
        raise (ToolException if pieces == 1 else ModelRetry)("no anchors here")
    return {"article": article, "pieces": pieces}


async def invoke(context: Any, text: str) -> str:
    return f"{context.context} {context.tool_name} {context.tool_call_id} {text}"


async def with_context(ctx: Any, article: str, pieces: int = 1) -> str:
    return f"{ctx.deps} {ctx.tool_call_id} {article} {pieces}"


def langchain(**changes: Any) -> StructuredTool:
    parts: dict[str, Any] = {"name": "lc", "description": "In stock.", "args_schema": Article, "coroutine": stock}
    return StructuredTool(**parts | changes)


def pydantic_ai(function: Callable[..., Any], *, takes_ctx: bool = False, **changes: Any) -> PydanticTool:
    class Values:
        """Its validator returns the keyword arguments."""

        @staticmethod
        def validate_json(text: str) -> dict[str, Any]:
            return Article.model_validate_json(text).model_dump()

    schema = FunctionSchema(Article.model_json_schema(), Values, function, takes_ctx)
    return PydanticTool(schema, "pa", "In stock.", takes_ctx, **changes)


async def test_tools_of_other_libraries_are_tools() -> None:
    """Each is called with the model's arguments and its own context; none is called twice."""
    theirs = FunctionTool("oa", "In stock.", SCHEMA, invoke, needs_approval=True, timeout_seconds=5)
    agent = Agent(name="a", tools=[theirs, langchain(), pydantic_ai(stock), stock])
    openai, lc, pa, _ = agent.tools
    assert [tool.spec.repeatable for tool in agent.tools] == [False] * 4
    assert [tool.spec.claims for tool in agent.tools] == [True] * 4
    assert (openai.spec.approval, openai.spec.timeout, lc.spec.approval) == ("always", 5, "never")
    assert openai.spec.parameters == {"type": "object", "properties": {"article": {"type": "string"}}}
    assert "test_foreign_tools.py" in lc.place
    assert (
        await openai.call('{"article": "rope"}', CONTEXT)
    ).content == "{'user': 'ann'} oa c1 {\"article\": \"rope\"}"
    for tool in (lc, pa):
        assert (await tool.call('{"article": "rope"}', CONTEXT)).content.startswith('{"article":"rope"')
        wrong = (await tool.call('{"pieces": "x"}', CONTEXT)).error or ""
        assert wrong.startswith("The arguments are wrong:\n- article: is required\n- pieces: ")
        assert wrong.endswith("article: string (required), pieces: integer (default 1).")
        with pytest.raises(ToolError, match=r"^no anchors here$"):
            await tool.call('{"article": "anchor", "pieces": 1}', CONTEXT)
    for text in ("{", "[1]", '"x"'):
        assert "JSON object" in ((await openai.call(text, CONTEXT)).error or "")
    [aware] = Agent(name="b", tools=[pydantic_ai(with_context, takes_ctx=True)]).tools
    assert (await aware.call('{"article": "rope"}', CONTEXT)).content == "{'user': 'ann'} c1 rope 1"


def test_what_only_their_library_does_is_refused() -> None:
    """A tool is not accepted without what it would lose, and the message says what that is."""
    needy = create_model("Needy", __base__=Article, store=(str, ...))
    cases = {
        "is_enabled": FunctionTool("t", "", SCHEMA, invoke, is_enabled=lambda: True),
        "tool_input_guardrails": FunctionTool("t", "", SCHEMA, invoke, tool_input_guardrails=[1]),
        "decides by a function": FunctionTool("t", "", SCHEMA, invoke, needs_approval=lambda: True),
        "return_direct": langchain(return_direct=True),
        "lc' has store": langchain(args_schema=needy),
        "prepare": pydantic_ai(stock, prepare=print),
        "only functions and methods can, and tools of": object(),
    }
    for reason, tool in cases.items():
        with pytest.raises(AgentDefinitionError, match=reason):
            Agent(name="a", tools=[tool])


def test_an_agent_of_openai_agents_can_be_run() -> None:
    """It becomes an agent of the file that converts it, with its tools."""
    tool = FunctionTool("oa", "In stock.", SCHEMA, invoke)
    theirs = OpenAIAgent("Shop clerk", "Sell ropes.", "sells", [tool, stock], model="gpt-5-mini", output_type=Article)
    ours = Agent.of(theirs)
    assert isinstance(ours, Agent)
    assert (ours.name, ours.system_prompt, ours.description) == ("Shop clerk", "Sell ropes.", "sells")
    assert (ours.model, [tool.spec.name for tool in ours.tools]) == ("gpt-5-mini", ["oa", "stock"])
    assert ours.output_type is Article
    assert ours.code_queue.startswith("Shop clerk@test_foreign_tools.py#")
    boss = OpenAIAgent("boss", handoffs=[theirs, Handoff("spare", lambda: spare)])
    spare = OpenAIAgent("spare", "Help.", handoffs=[boss])
    converted = Agent.of(boss)
    assert [tool.spec.name for tool in converted.tools] == []
    assert [tool.name for tool in converted.spec().tools] == ["transfer_to_Shop_clerk", "transfer_to_spare"]
    assert {name: member.handoffs for name, member in converted.spec().team.items()} == {
        "Shop clerk": [],
        "spare": ["boss"],
    }
    assert converted.spec().team["Shop clerk"].tools[0].name == "oa"
    assert converted.code_queue.startswith("boss@test_foreign_tools.py#")
    client = AsyncOpenAI(api_key="sk-test")
    chat = type("OpenAIChatCompletionsModel", (), {"model": "gpt-5-mini", "_client": client})()
    with_client = Agent.of(OpenAIAgent("a", model=chat))
    assert (with_client.model, with_client.client) == ("gpt-5-mini", client)
    refused = {
        "put the agent itself": OpenAIAgent("a", handoffs=[Handoff("Shop clerk", lambda: theirs, input_filter=print)]),
        "must take nothing, or a RunContext": OpenAIAgent("a", lambda _a, _b, _c: ""),
        "give its name as text": OpenAIAgent("a", model=object()),
    }
    for reason, agent in refused.items():
        with pytest.raises(AgentDefinitionError, match=reason):
            Agent.of(agent)
