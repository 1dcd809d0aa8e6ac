"""Approvals as tools, agents and runs require them, before any run: who may be stricter, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast import Agent, AgentDefinition, AgentDefinitionError, Tool, ToolContext, UsageError, tool
from holdfast.agents.approvals import tightened
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.conversion import definition_of
from holdfast.agents.directory import AgentDirectory
from holdfast.agents.resolve import resolve
from holdfast.approval import strictest
from holdfast.storage.registry import InMemoryRegistry
from holdfast.types import AgentSpec, ToolSpec


@tool
def look(path: str) -> str:
    """Looks."""
    return path


@tool(approval="always")
def delete(path: str) -> str:
    """Deletes."""
    return path


@tool(approval=lambda amount: amount > 100)
def pay(amount: int, to: str = "us") -> str:
    """Pays."""
    return f"{amount} to {to}"


def approvals(spec: AgentSpec) -> dict[str, str]:
    """What each tool of an agent says about approval."""
    return {each.name: each.approval for each in spec.tools}


def test_a_tool_says_when_it_needs_approval() -> None:
    """A tool needs approval never, always, or on a condition, which stays on the worker."""
    agent = Agent(name="clerk", tools=[look, delete, pay])
    assert approvals(agent.spec()) == {"look": "never", "delete": "always", "pay": "condition"}
    assert pay.condition is not None
    assert look.condition is None
    assert delete.condition is None


@pytest.mark.parametrize(("written", "meant"), [(True, "always"), (False, "never"), ("condition", "condition")])
def test_older_specifications_still_load(written: Any, meant: str) -> None:
    """A specification that says `approval: true` or `false` means always or never."""
    assert ToolSpec.model_validate({"name": "x", "activity": "tool.x", "approval": written}).approval == meant


def test_the_strictest_counts() -> None:
    """Of several words about approval, the one that asks a person most often counts."""
    assert strictest("never", "condition") == "condition"
    assert strictest("condition", "always", "never") == "always"


@pytest.mark.parametrize(
    ("approval", "told"),
    [
        ("sometimes", "must be 'never'"),
        ("condition", "a function, the condition"),
        (lambda price: price > 1, "has a parameter 'price', which the tool does not have; its parameters are: amount"),
        (lambda amount, /: amount > 1, "positional-only"),
        (dict, "approval=<class 'dict'>"),
    ],
)
def test_a_wrong_condition_is_refused_when_the_tool_is_defined(approval: Any, told: str) -> None:
    """A condition that could never be evaluated is an error of the definition, not of a later run."""

    def spend(amount: int) -> None:
        """Spends."""

    with pytest.raises(AgentDefinitionError, match="tool 'spend'") as refused:
        tool(approval=approval)(spend)
    assert told in str(refused.value)


def test_a_condition_may_see_the_context_and_all_arguments() -> None:
    """A condition names what it looks at, the tool's context included, or takes everything."""

    @tool(approval=lambda context, **arguments: bool(context.run_id and arguments))
    def spend(amount: int, context: ToolContext) -> None:
        """Spends."""

    assert spend.spec.approval == "condition"


def test_an_agent_requires_more_than_its_tools() -> None:
    """An agent makes approval of a tool a must, by its name or for all tools."""
    agent = Agent(name="clerk", tools=[look, pay], approvals={"look": "always"})
    assert approvals(agent.spec()) == {"look": "always", "pay": "condition"}
    assert approvals(AgentCatalog([agent]).spec(agent)) == {"look": "always", "pay": "condition"}

    class Careful(Agent):
        tools = [look, pay]
        approvals = {"all": "always"}

    assert approvals(Careful().spec()) == {"look": "always", "pay": "always"}


@pytest.mark.parametrize(
    ("required", "told"),
    [
        ({"look": "never"}, "an agent can only require more than its tools do"),
        ({"walk": "always"}, "'walk', which the agent does not have; its tools are: look"),
        (["look"], "must be a mapping"),
    ],
)
def test_an_agent_cannot_require_less(required: Any, told: str) -> None:
    """What an agent says about approval is refused if it is more lenient, or about no tool of it."""
    with pytest.raises(AgentDefinitionError, match="agent 'clerk'") as refused:
        Agent(name="clerk", tools=[look], approvals=required)
    assert told in str(refused.value)


def test_registered_agents_require_approvals() -> None:
    """A definition names tools that need approval; a registered Agent keeps what it requires."""
    served: dict[str, Tool] = {each.spec.activity: each for each in (look, pay, delete)}
    written = AgentDefinition(name="clerk", tools=["look", "pay"], approvals={"look": "always"})
    assert approvals(resolve(written, served)) == {"look": "always", "pay": "condition"}
    everything = AgentDefinition(name="clerk", tools=["look", "pay"], approvals={"all": "always"})
    assert approvals(resolve(everything, served)) == {"look": "always", "pay": "always"}
    registered = definition_of(Agent(name="clerk", tools=[look, pay], approvals={"pay": "always"}))
    assert registered.approvals == {"pay": "always"}
    assert approvals(resolve(registered, served)) == {"look": "never", "pay": "always"}
    with pytest.raises(ValueError, match="'walk' is not one of its tools"):
        AgentDefinition(name="clerk", tools=["look"], approvals={"walk": "always"})


async def test_a_clients_definition_is_not_more_lenient_than_the_tool() -> None:
    """A definition that a client sends with its run cannot take the approval from a tool of the worker."""
    catalog = AgentCatalog([], tools=[delete, pay])
    sent = AgentSpec(name="mine", tools=[ToolSpec(name=name, activity=f"tool.{name}") for name in ("delete", "pay")])
    found = await AgentDirectory(catalog, InMemoryRegistry()).find(sent)
    assert approvals(found) == {"delete": "always", "pay": "condition"}


def test_a_run_requires_more() -> None:
    """A run names tools, or all; what the run does itself, such as to sleep, is named one by one."""
    tools = [look.spec, ToolSpec(name="sleep", activity="tool.sleep", operation="sleep")]
    assert [each.approval for each in tightened(tools, ["all"], "this run")] == ["always", "never"]
    assert [each.approval for each in tightened(tools, ["sleep"], "this run")] == ["never", "always"]
    with pytest.raises(UsageError, match="this run requires approval for 'walk'"):
        tightened(tools, ["walk"], "this run")
