"""Functions of an agent around its model calls and its tool calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from holdfast import Agent, ModelReply, ModelRequest, RunStatus, TextDelta, ToolRequest, Usage, tool
from holdfast.agents.own_code import spec_of
from holdfast.errors import AgentDefinitionError
from holdfast.testing import Reply
from holdfast.tools.files import read_file
from tests.support.lab import Lab, contents, eventually

Handler = Callable[[Any], Awaitable[Any]]
USAGE = Usage(input_tokens=10, output_tokens=5)
seen: list[str] = []


@tool
def price(article: str) -> dict[str, int]:
    """The price of an article."""
    return {article: len(article)}


@tool(read_only=True)
async def fail() -> str:
    """Fails."""
    raise LookupError("there is none")


class Careful(Agent):
    """Its wrappers are methods."""

    system_prompt = "You sell."
    model = "small"
    tools = (price, fail)

    async def __aenter__(self) -> Careful:  # noqa: PYI034 - as users write it
        """Opens the shop."""
        self.shop = "ropes"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the shop."""

    async def wrap_model_call(self, request: ModelRequest, handler: Handler) -> ModelReply:
        """Asks a larger model if the answer is empty, and signs the answer."""
        assert request.system_prompt == "You sell."
        reply: ModelReply = await handler(request.replace(system_prompt=f"You sell {self.shop}."))
        if reply.content == "I do not know.":
            reply = await handler(request.replace(model="large", settings={"temperature": 0.5}))
        return reply.model_copy(update={"content": f"{reply.content} Yours"}) if reply.content else reply

    def wrap_tool_call(self, request: ToolRequest, handler: Callable[[ToolRequest], Any]) -> Any:
        """Sells anchors instead of ropes, and hides errors."""
        seen.append(f"{request.tool} {dict(request.arguments)} {request.context.agent} {self.shop}")
        try:
            found = handler(request.replace(arguments={"article": "anchor"}) if request.arguments else request)
        except LookupError as error:
            return f"nothing: {error}"
        return {**found, "currency": "EUR"}


async def test_wrappers_change_requests_and_replies(lab: Lab) -> None:
    """A wrapper may change a request, ask again, and change the reply; all requests are counted and priced."""
    seen.clear()
    careful = Careful(name="careful")
    lab.server.call_tools(price={"article": "rope"}, fail={}, usage=USAGE)
    lab.server.say("I do not know.", usage=USAGE)
    lab.server.say("Nine.", usage=USAGE)
    async with lab.worker(careful):
        result = await lab.holdfast.run(careful, "What is the price?")
        await lab.assert_mirrored(result.run_id)
        entries = await lab.entries(result.run_id)
    assert result.content == "Nine. Yours"
    assert (result.usage.requests, result.usage.total_tokens) == (3, 45)
    first, second, third = lab.server.requests
    assert [request.messages[0]["content"] for request in (first, second, third)] == ["You sell ropes."] * 2 + [
        "You sell."
    ]
    assert (second.body["model"], third.body["model"], third.body["temperature"]) == ("small", "large", 0.5)
    assert sorted(seen, reverse=True) == ["price {'article': 'rope'} careful ropes", "fail {} careful ropes"]
    assert [text for role, text in contents(entries) if role == "tool"] == [
        '{"anchor":6,"currency":"EUR"}',
        "nothing: there is none",
    ]


async def first(request: ModelRequest, handler: Handler) -> ModelReply:
    """The outermost."""
    reply: ModelReply = await handler(request)
    return reply.model_copy(update={"content": f"<{reply.content}>"})


def second(request: ModelRequest, handler: Callable[[ModelRequest], ModelReply]) -> ModelReply:
    """Answers by itself, raises an error, returns something else, or asks the model."""
    asked = request.messages[-1].content
    if asked == "closed":
        return request.reply("We are closed.")
    if asked == "forbidden":
        raise PermissionError("not for you")
    if asked == "wrong":
        return "text"  # type: ignore[return-value]
    try:
        return handler(request)
    except Exception:  # noqa: BLE001 - the provider's refusal
        return request.reply("It was refused.")


async def test_wrappers_nest(lab: Lab) -> None:
    """The first wrapper is the outermost; one may answer by itself, and an error fails the run, with its reason."""
    agent = Agent(name="nested", wrap_model_call=[first, second])
    async with lab.worker(agent, isolate_tools=True):
        assert (await lab.holdfast.run(agent, "closed")).content == "<We are closed.>"
        assert lab.server.requests == []
        assert (await lab.holdfast.run(agent, "open")).content == "<done>"
        lab.server.reply(Reply.error(400))
        assert (await lab.holdfast.run(agent, "refused")).content == "<It was refused.>"
        failed = await lab.holdfast.run(agent, "forbidden")
        assert failed.error == "wrap_model_call (first, second) failed: PermissionError: not for you"
        wrong = await lab.holdfast.run(agent, "wrong")
        assert "TypeError: second returned 'text'; it must return a ModelReply" in (wrong.error or "")


async def patient(request: ModelRequest, handler: Handler) -> ModelReply:
    """Holds nothing up."""
    reply: ModelReply = await handler(request)
    return reply


async def test_a_wrapped_call_is_cancelled(lab: Lab) -> None:
    """A cancel reaches the request within the wrappers, and keeps the text that had arrived."""
    agent = Agent(name="patient", wrap_model_call=patient)
    lab.server.reply(Reply(" ".join(map(str, range(60))), hang_after=2))
    async with lab.worker(agent, isolate_tools=True):
        handle = await lab.holdfast.start(agent, "Count.")
        async for event in handle.events():
            if isinstance(event, TextDelta):
                break
        await handle.cancel()
        result = await handle.result()
    assert (result.status, result.usage.requests) == (RunStatus.CANCELLED, 1)
    assert result.run.output.startswith("0 1 2")
    await lab.server.wait_disconnected(0)


async def test_a_run_waits_for_its_wrappers(lab: Lab) -> None:
    """A worker that lacks what a run began with is not asked: neither for model calls, nor for tools."""
    agent = Agent(name="wrapped", tools=[price], wrap_model_call=patient)
    audited = Agent(name="audited", tools=[price], wrap_tool_call=lambda request, handler: handler(request))
    plain, unaudited = Agent(name="wrapped", tools=[price]), Agent(name="audited", tools=[price])
    lab.server.call_tools(price={"article": "rope"})
    async with lab.worker(plain, unaudited, max_cached_workflows=10):
        tools = await lab.holdfast.start(audited.spec(), "Go.")
        model = await lab.holdfast.start(agent.spec(), "Go.")

        async def wait() -> bool:
            told = [(await run.status()).doing for run in (model, tools)]
            return "has the code of agent 'wrapped'" in told[0] and "serves tool 'price'" in told[1]

        await eventually(wait)
    async with lab.worker(agent, audited):
        assert [(await run.result()).success for run in (model, tools)] == [True, True]


def test_tools_of_a_wrapping_agent_are_served_by_its_process() -> None:
    """A script that wraps the calls of its tools serves all of them, also those that come with Holdfast."""
    plain = spec_of(Agent(name="a", tools=[read_file], wrap_model_call=patient))
    wrapping = spec_of(Agent(name="a", tools=[read_file], wrap_tool_call=patient))
    assert plain.tools[0].task_queue is None
    assert wrapping.tools[0].task_queue == wrapping.code_queue is not None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"wrap_model_call": lambda request: request}, "must take a request and a handler"),
        ({"wrap_tool_call": "audit"}, "is not a function"),
        ({"wrap_model_call": [first, first]}, "two of its wrap_model_call are named 'first'"),
    ],
)
def test_what_cannot_wrap_is_refused(fields: dict[str, Any], said: str) -> None:
    """Functions with other parameters, and what is no function, are refused when the agent is defined."""
    with pytest.raises(AgentDefinitionError, match=said):
        Agent(name="a", **fields)
