"""One check for the agents that can be registered and those that can be run."""

from __future__ import annotations

import pytest

from holdfast import Agent, AgentDefinition, AgentDefinitionError, tool
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.directory import AgentDirectory
from holdfast.agents.resolve import resolve
from holdfast.definition import MAX_DEFINITION_BYTES
from holdfast.storage.registry import InMemoryRegistry
from holdfast.types import AgentSpec


@tool(read_only=True)
def look_up(word: str) -> str:
    """Looks up a word."""
    return word


class Smith(Agent):
    """An agent with a method of the same name."""

    name = "smith"
    system_prompt = "You work."

    @tool(read_only=True)
    def look_up(self, word: str) -> str:
        """Looks up a word."""
        return word


CATALOG = AgentCatalog([Smith()], tools=[look_up])
ROOM = MAX_DEFINITION_BYTES - 200  # bytes of a prompt that fits by itself, but not together with a tool

REJECTED = {
    "an unknown tool": (AgentDefinition(name="a", tools=["fly"]), "'fly'; known: look_up, smith.look_up"),
    "two tools of one name": (
        AgentDefinition(name="a", tools=["look_up", "smith.look_up"]),
        "several tools that the model knows as 'look_up'",
    ),
    "too large with its tools": (
        AgentDefinition(name="a", system_prompt="x" * ROOM, tools=["look_up"]),
        "with its tools; the maximum is 524,288",
    ),
}


@pytest.mark.parametrize(("definition", "reason"), REJECTED.values(), ids=REJECTED)
async def test_what_no_run_accepts_is_not_registered(definition: AgentDefinition, reason: str) -> None:
    """`agents register` rejects what a run rejects, for the same reason."""
    with pytest.raises(AgentDefinitionError, match=reason) as registering:
        resolve(definition, CATALOG.tools())
    registry = InMemoryRegistry()
    await registry.register(definition)
    for wanted in ("a", definition):
        with pytest.raises(AgentDefinitionError) as running:
            await AgentDirectory(CATALOG, registry).find(wanted)
        assert str(running.value) == str(registering.value)


async def test_a_specification_is_held_to_the_same() -> None:
    """An agent that a client sends in full is checked like one from a registry."""
    directory = AgentDirectory(CATALOG, InMemoryRegistry())
    with pytest.raises(AgentDefinitionError, match="several tools that the model knows as 'look_up'"):
        await directory.find(AgentSpec(name="a", tools=[look_up.spec, look_up.spec]))
    with pytest.raises(AgentDefinitionError, match="the maximum is 524,288"):
        await directory.find(AgentSpec(name="a", system_prompt="x" * MAX_DEFINITION_BYTES))
    assert (await directory.find("smith")).name == "smith"


@pytest.mark.parametrize("model", [AgentDefinition, AgentSpec])
def test_an_empty_model_is_rejected(model: type[AgentDefinition | AgentSpec]) -> None:
    """A model is named or left out; an empty name is neither."""
    with pytest.raises(ValueError, match="model"):
        model(name="a", model="")
