"""Trees of runs for tests: agents that ask one another, and a model that plays each of them."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast import Agent, RunHandle
from holdfast.composition.replay import history_replayer
from holdfast.scripted.chat import ChatReply, ChatRequest, ChatToolCall
from holdfast.testing import Reply
from tests.support.lab import Lab, eventually

LONG = "This is the beginning of a very long answer that never comes to its end."


def asks(agent: str, *questions: str) -> Reply:
    """The reply of a model that asks an agent, once for each question."""
    return Reply("", tool_calls=[ChatToolCall(f"ask_{agent}", {"input": question}) for question in questions])


class Cast:
    """A model that plays several agents: each request is answered for the agent whose name is its system prompt."""

    def __init__(self, lab: Lab, **parts: ChatReply | Sequence[ChatReply]) -> None:
        """
        Args:
            lab: its model server asks this object.
            parts: what each agent replies: one reply, again and again, or several in their order.
        """
        self._parts = {name: list(part) if isinstance(part, Sequence) else part for name, part in parts.items()}
        lab.server.respond = self._respond

    def _respond(self, request: ChatRequest) -> ChatReply:
        part = self._parts[str(request.messages[0]["content"])]
        return part.pop(0) if isinstance(part, list) else part


def agent(name: str, *asked: Agent | str, tools: Sequence[object] = ()) -> Agent:
    """An agent whose system prompt is its name."""
    return Agent(name=name, system_prompt=name, agents=list(asked), tools=list(tools))


async def exists(lab: Lab, run: str) -> RunHandle:
    """Waits until a run has begun."""
    handle = lab.holdfast.handle(run)

    async def begun() -> bool:
        found = [each async for each in lab.client.list_workflows(f"WorkflowId = '{run}'")]
        return bool(found)

    await eventually(begun)
    return handle


async def continued(lab: Lab, run: RunHandle) -> None:
    """Makes a run whose children are at work continue as new, by signals that it does not know."""
    temporal = lab.client.get_workflow_handle(run.id)
    began = (await temporal.describe()).run_id

    async def has_continued() -> bool:
        for _ in range(50):
            await temporal.signal("noise")
        return (await temporal.describe()).run_id != began

    await eventually(has_continued)


async def assert_replays(lab: Lab, *runs: RunHandle) -> None:
    """Replays every execution of these runs: workflow code must decide the same again."""
    replayer = history_replayer(lab.client.data_converter)
    for run in runs:
        async for execution in lab.client.list_workflows(f"WorkflowId = '{run.id}'"):
            handle = lab.client.get_workflow_handle(execution.id, run_id=execution.run_id)
            difference = await replayer.replay(await handle.fetch_history())
            assert difference is None, f"{run.id}: {difference}"
