"""Registered agents: runs by name, by version, and with the definition that they were started with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from holdfast import Agent, AgentDefinition, RunStatus, ToolContext, tool
from holdfast.agents.catalog import AgentCatalog
from holdfast.composition import worker
from holdfast.errors import StoreUnavailable
from holdfast.models import open_model
from holdfast.storage.database import open_database
from holdfast.storage.persistence import Persistence
from holdfast.storage.registry import InMemoryRegistry, RegistryProtocol
from holdfast.storage.registry.conformance import Lookalike
from holdfast.storage.registry.surreal import SurrealRegistry
from holdfast.types import AgentSpec
from tests.support.lab import Lab, contents, eventually


@tool(read_only=True)
async def look_up(word: str, context: ToolContext) -> str:
    """Looks a word up."""
    return f"{word} was looked up for {context.agent}"


class Smith(Agent):
    """An agent with a tool of its own."""

    @tool(read_only=True)
    async def forge(self) -> str:
        """Forges."""
        return "forged"


GUIDE = AgentDefinition(name="guide", system_prompt="one", tools=["look_up"], max_turns=5)


@pytest.fixture
async def registry() -> AsyncIterator[SurrealRegistry]:
    database = open_database("mem://")
    yield SurrealRegistry(database)
    await database.close()


@asynccontextmanager
async def serving(lab: Lab, registry: RegistryProtocol) -> AsyncIterator[None]:
    """A worker with this registry, one agent in code, and a tool that no agent uses."""
    model = open_model(
        openai_api_key="test", openai_base_url=lab.server.url, openrouter_api_key=None, default_model="test-model"
    )
    running = worker.build_worker(
        lab.client,
        lab.settings,
        catalog=AgentCatalog([Smith(name="smith", system_prompt="in code")], tools=[look_up]),
        model=model,
        persistence=Persistence(database=None, store=lab.store, registry=registry),
        max_cached_workflows=0,
        sandboxed=True,
    )
    async with running:
        yield
    await model.close()


async def prompt(lab: Lab, run_id: str) -> str:
    return contents(await lab.entries(run_id))[0][1]


async def test_a_registered_agent_runs_by_its_name(lab: Lab, registry: SurrealRegistry) -> None:
    """A registered agent runs by its name, with its tools."""
    await registry.register(GUIDE)
    lab.server.call_tools(("look_up", {"word": "durable"}))
    async with serving(lab, registry):
        result = await lab.holdfast.run("guide", "What is durable?")
        assert result.success, result.error
        entries = await lab.entries(result.run_id)
    assert (entries[0].data["agent"]["name"], entries[0].data["agent"]["version"]) == ("guide", 1)
    assert ("tool", "durable was looked up for guide") in contents(entries)


async def test_a_run_keeps_the_definition_that_it_was_started_with(lab: Lab, registry: SurrealRegistry) -> None:
    """A run keeps the definition that it started with."""
    await registry.register(GUIDE)
    async with serving(lab, registry):
        lab.server.hold()
        lab.server.call_tools(("look_up", {"word": "x"}))
        run = await lab.holdfast.start("guide", "Go.")
        await lab.server.wait_for_requests(1)
        await registry.register(GUIDE.model_copy(update={"system_prompt": "two", "tools": [], "max_turns": 1}))
        lab.server.release()
        result = await run.result(60)
        assert result.success, result.error
        assert [request.messages[0]["content"] for request in lab.server.requests] == ["one", "one"]
        assert len(lab.server.requests[1].body["tools"]) == 1
        later = await lab.holdfast.run("guide", "Go.")
        assert await prompt(lab, later.run_id) == "two"
        exact = await lab.holdfast.run("guide@1", "Go.")
        assert await prompt(lab, exact.run_id) == "one"
        assert exact.metadata["agent"] == "guide"

        async def both_are_listed() -> bool:
            return {later.run_id, exact.run_id} <= {found.run_id async for found in lab.holdfast.list(agent="guide")}

        await eventually(both_are_listed)


async def test_registered_agents_hand_off_by_name_and_version(lab: Lab, registry: SurrealRegistry) -> None:
    """A definition names those to which it may hand off, with or without a version; they may name each other."""
    await registry.register(AgentDefinition(name="office", system_prompt="old office", handoffs=["desk"]))
    await registry.register(AgentDefinition(name="office", system_prompt="new office"))
    await registry.register(AgentDefinition(name="desk", description="Knows all.", handoffs=["office@1", "smith"]))
    kept = await registry.get("desk")
    assert kept.handoffs == ["office@1", "smith"]
    lab.server.call_tools(("transfer_to_office", {"reason": "it knows"}))
    lab.server.call_tools(("transfer_to_desk", {}))
    lab.server.call_tools(("transfer_to_smith", {}))
    lab.server.call_tools(("forge", {}))
    lab.server.say("Forged.")
    async with serving(lab, registry):
        result = await lab.holdfast.run("desk", "Go.", timeout=60)
        assert result.content == "Forged."
        assert result.active_agent == "smith"
        entries = await lab.entries(result.run_id)
    assert [request.messages[0]["content"] for request in lab.server.requests[1:]] == [
        "old office",
        "Go.",  # the desk has no system prompt
        "in code",
        "in code",
    ]
    assert ("tool", "forged") in contents(entries)
    assert {name: member["name"] for name, member in entries[0].data["agent"]["team"].items()} == {
        "office@1": "office",
        "smith": "smith",
    }


async def test_the_code_comes_before_the_registry(lab: Lab, registry: SurrealRegistry) -> None:
    """An agent defined in code takes precedence over a registered one."""
    await registry.register(AgentDefinition(name="smith", system_prompt="registered"))
    async with serving(lab, registry):
        assert await prompt(lab, (await lab.holdfast.run("smith", "Go.")).run_id) == "in code"
        assert await prompt(lab, (await lab.holdfast.run("smith@1", "Go.")).run_id) == "registered"


async def test_a_method_of_an_agent_is_a_tool_for_others(lab: Lab, registry: SurrealRegistry) -> None:
    """Registered agents can use the tool methods of other agents."""
    await registry.register(Smith(name="smith", system_prompt="x"))
    definition = await registry.get("smith")
    assert definition.tools == ["smith.forge"]
    await registry.register(definition.model_copy(update={"name": "apprentice"}))
    lab.server.call_tools(("forge", {}))
    async with serving(lab, registry):
        result = await lab.holdfast.run("apprentice", "Forge.")
        assert ("tool", "forged") in contents(await lab.entries(result.run_id))


async def test_a_definition_can_be_run_as_it_is(lab: Lab, registry: SurrealRegistry) -> None:
    """A definition from the registry can be run directly."""
    await registry.register(GUIDE)
    async with serving(lab, InMemoryRegistry()):
        result = await lab.holdfast.run(await registry.get("guide"), "Go.")
        assert result.success, result.error
        assert (await lab.entries(result.run_id))[0].data["agent"]["version"] == 1
        assert (await lab.holdfast.run(AgentSpec(name="bare"), "Go.")).success


async def test_any_registry_will_do(lab: Lab) -> None:
    """The worker accepts any registry that follows the protocol."""
    registry = InMemoryRegistry()
    await registry.register(Lookalike("guest", tools=["look_up"]))
    await registry.register(Smith(name="other", system_prompt="object", max_turns=3, tools=[look_up]))
    async with serving(lab, registry):
        assert await prompt(lab, (await lab.holdfast.run("guest", "Go.")).run_id) == "Help."


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        ("nobody", ["'nobody' not found", "known: smith", "registered: guide, broken", "agents register"]),
        ("guide@7", ["'guide@7' not found"]),
        ("broken", ["'fly'", "known: look_up, smith.forge"]),
    ],
)
async def test_what_cannot_be_run_is_reported(lab: Lab, registry: SurrealRegistry, agent: str, told: list[str]) -> None:
    """A run of an agent that stays unknown fails at its time limit and lists the known ones."""
    await registry.register(GUIDE)
    await registry.register(AgentDefinition(name="broken", tools=["fly"]))
    async with serving(lab, registry):
        result = await lab.holdfast.run(agent, "Go.", timeout=1)
    assert result.status is RunStatus.FAILED
    assert result.error
    assert not [word for word in told if word not in result.error], result.error


async def test_a_registry_that_is_unavailable_is_waited_for(lab: Lab) -> None:
    """Runs wait while the registry is unavailable."""

    class Away(InMemoryRegistry):
        asked = 0

        async def get_agent(self, name: str) -> object:
            self.asked += 1
            if self.asked < 3:
                raise StoreUnavailable("the database restarts")
            return await super().get_agent(name)

    registry = Away()
    await registry.register(GUIDE)
    async with serving(lab, registry):
        assert (await lab.holdfast.run("guide", "Go.")).success
        assert (await lab.holdfast.run("smith", "Go.")).success
    assert registry.asked == 3
