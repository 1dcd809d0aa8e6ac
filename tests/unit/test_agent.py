"""Agents: their definition in both forms, and the result of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.agent_result import AgentResult
from holdfast.agents.agent import Agent
from holdfast.agents.tool import Tool, ToolContext, tool
from holdfast.errors import AgentDefinitionError, ErrorType, RunFailed
from holdfast.types import AgentSpec, RunError, RunResult, RunStatus, Usage

CONTEXT = ToolContext(run_id="r1", call_id="c1", agent="a", turn=1, attempt=1, workspace=Path("/w"))


@tool(read_only=True)
def look_up(word: str) -> str:
    """Look a word up."""
    return f"meaning of {word}"


def shout(text: str) -> str:
    """Write it in capitals."""
    return text.upper()


class Base(Agent):
    """Has all that a class can say."""

    system_prompt = "Be kind."
    model = "m-base"
    tools = [look_up]
    max_turns = 7
    timeout = 30.0
    model_settings = {"temperature": 0.5}

    @tool
    def second(self, n: int = 1) -> str:
        """Defined first."""
        return f"{self.name} second {n}"

    @tool(name="renamed", idempotent=True)
    async def first(self, n: int) -> str:
        """Defined second."""
        return f"{self.name} first {n}, {self.second(n=n)}"


class Derived(Base):
    """Adds a tool and replaces one."""

    tools = [shout]

    @tool
    def third(self) -> str:
        """Added."""
        return super().second(3)

    @tool(read_only=True)
    def second(self, n: int = 2) -> str:
        """Replaced."""
        return f"derived {n}"


def test_instance_defines_an_agent() -> None:
    """An instance of `Agent` holds its whole definition."""
    agent = Agent(name="x y.z-1", system_prompt="Help.", model="m", tools=[look_up, shout], max_turns=3, timeout=5)
    assert agent.spec() == AgentSpec(
        name="x y.z-1",
        system_prompt="Help.",
        model="m",
        tools=[look_up.spec, tool(shout).spec],
        max_turns=3,
        timeout=5,
    )
    assert Agent(name="d").spec() == AgentSpec(name="d")


def test_subclass_defines_an_agent() -> None:
    """Class attributes and methods of a subclass make up its definition."""
    agent = Base()
    spec = agent.spec()
    assert spec.model_dump(exclude={"tools"}) == AgentSpec(
        name="Base",
        system_prompt="Be kind.",
        model="m-base",
        model_settings={"temperature": 0.5},
        max_turns=7,
        timeout=30,
    ).model_dump(exclude={"tools"})
    assert [(known.name, known.activity) for known in spec.tools] == [
        ("look_up", "tool.look_up"),
        ("second", "tool.Base.second"),
        ("renamed", "tool.Base.renamed"),
    ]
    tools: object = agent.tools
    assert isinstance(tools, tuple)
    assert all(isinstance(known, Tool) for known in tools)


def test_constructor_overrides_the_class() -> None:
    """Constructor arguments override class attributes; `None` differs from an omitted argument."""
    agent = Base(
        name="v", system_prompt="", model=None, tools=[], max_turns=1, timeout=None, model_settings={"top_p": 1}
    )
    assert agent.spec() == AgentSpec(
        name="v",
        model_settings={"top_p": 1},
        max_turns=1,
        tools=[known.spec for known in (agent.second, agent.first)],
    )
    assert Base().spec().model == "m-base"


def test_names_of_subclasses() -> None:
    """A subclass has a name of its own."""

    class Named(Base):
        name = "given"

    class Below(Named): ...

    assert [cls().name for cls in (Base, Derived, Named, Below)] == ["Base", "Derived", "given", "Below"]


async def test_method_tools_know_their_agent() -> None:
    """A method that is a tool runs on its instance, under its agent's activity type."""
    one, two = Base(name="one"), Base(name="two")
    assert one.second.spec.activity == "tool.one.second"
    assert [known.spec.activity for known in two.tools[1:]] == ["tool.two.second", "tool.two.renamed"]
    assert one.second() == "one second 1"
    assert await one.first(5) == "one first 5, one second 5"
    assert (await two.tools[2].call('{"n": 4}', CONTEXT)).content == "two first 4, two second 4"
    assert one.tools[1] is one.second
    assert "self" not in str(one.second.spec.parameters)


def test_inherited_methods_come_first_and_can_be_replaced() -> None:
    """Inherited tools come first, in a fixed order, and can be overridden."""
    agent = Derived()
    assert [known.spec.name for known in agent.tools] == ["shout", "second", "renamed", "third"]
    assert agent.second.spec.read_only
    assert agent.second() == "derived 2"
    assert agent.third() == "Derived second 3"


def test_methods_of_other_objects_are_tools_too() -> None:
    """Methods of any object can be tools."""

    class Client:
        def fetch(self, url: str) -> str:
            return f"fetched {url}"

        @tool(read_only=True)
        def head(self, url: str) -> str:
            return f"head of {url}"

    client = Client()
    agent = Agent(name="a", tools=[client.fetch, client.head])
    assert [known.spec.activity for known in agent.tools] == ["tool.fetch", "tool.head"]
    assert [known("u") for known in agent.tools] == ["fetched u", "head of u"]


def test_own_constructor_of_a_subclass() -> None:
    """A subclass can have a constructor for what its tools need."""

    class WithClient(Agent):
        def __init__(self, greeting: str) -> None:
            super().__init__(system_prompt=greeting)
            self.greeting = greeting

        @tool
        def greet(self) -> str:
            return self.greeting

    assert WithClient("hi").greet() == "hi"


class Removed(Base):
    """Takes a tool away."""

    second = None  # type: ignore[assignment]


def test_a_subclass_can_drop_a_tool() -> None:
    """A subclass can remove an inherited tool."""
    assert [known.spec.name for known in Removed().tools] == ["look_up", "renamed"]


def test_spec_does_not_share_what_can_change() -> None:
    """Changing a spec leaves the agent unchanged."""
    agent = Agent(name="a", model_settings={"temperature": 1})
    agent.spec().model_settings["temperature"] = 2
    assert agent.spec().model_settings == {"temperature": 1}


def test_repr_helps() -> None:
    """The repr names the agent."""
    assert repr(Base()) == "<Base 'Base' model='m-base' tools=[look_up, second, renamed]>"


def _forgotten_decorator() -> Agent:
    class Forgotten(Base):
        def second(self, n: int = 1) -> str:  # type: ignore[override]
            return f"{n}"

    return Forgotten()


def _static() -> Agent:
    class Static(Agent):
        @staticmethod
        @tool
        def help_out() -> str:
            return ""

    return Static()


def _clash_with_agent() -> Agent:
    class Clash(Agent):
        @tool
        def model(self) -> str:  # type: ignore[override]
            return ""

    return Clash()


def _method_and_function() -> Agent:
    class Both(Agent):
        tools = [look_up]

        @tool(name="look_up")
        def other(self) -> str:
            return ""

    return Both()


@dataclass(frozen=True)
class DefinitionCase:
    """A mistake, and its error message."""

    name: str
    make: Callable[[], object]
    said: str


DEFINITIONS = [
    DefinitionCase("no name", Agent, "an agent needs a name"),
    DefinitionCase("empty name", lambda: Agent(name=""), "an agent needs a name"),
    DefinitionCase("slash", lambda: Agent(name="a/b"), "agent name 'a/b'"),
    DefinitionCase("leading dot", lambda: Agent(name=".a"), "agent name '.a'"),
    DefinitionCase("line end", lambda: Agent(name="a\n"), r"agent name 'a\\n'"),
    DefinitionCase("too long", lambda: Agent(name="a" * 65), "agent name 'aaa"),
    DefinitionCase(
        "same tool twice", lambda: Agent(name="a", tools=[look_up, tool(name="look_up")(shout)]), "'look_up'"
    ),
    DefinitionCase("method and function", _method_and_function, "two tools named 'look_up'.*other"),
    DefinitionCase("no list", lambda: Agent(name="a", tools=look_up), "must be a list"),  # type: ignore[arg-type]
    DefinitionCase("text", lambda: Agent(name="a", tools="look_up"), "must be a list"),
    DefinitionCase("no function", lambda: Agent(name="a", tools=["x"]), "'x' cannot be a tool"),
    DefinitionCase("bad function", lambda: Agent(name="a", tools=[lambda: None]), "tool name '<lambda>'"),
    DefinitionCase(
        "loose method", lambda: Agent(name="a", tools=[Base.second]), "is a method; pass it from an instance"
    ),
    DefinitionCase("no turns", lambda: Agent(name="a", max_turns=0), "agent 'a': max_turns=0 is not accepted"),
    DefinitionCase("no time", lambda: Agent(name="a", timeout=0), "agent 'a': timeout=0 is not accepted"),
    DefinitionCase("settings", lambda: Agent(name="a", model_settings={"x": object()}), "agent 'a': model_settings.x"),
    DefinitionCase("forgotten decorator", _forgotten_decorator, "Forgotten.second replaces an inherited tool"),
    DefinitionCase("static method", _static, "Static.help_out: a tool cannot be a staticmethod"),
    DefinitionCase("attribute of Agent", _clash_with_agent, "Clash.model: Agent has an attribute of this name"),
]


@pytest.mark.parametrize("case", DEFINITIONS, ids=lambda case: case.name)
def test_bad_definition_is_refused_at_once(case: DefinitionCase) -> None:
    """An invalid definition is refused when it is made."""
    with pytest.raises(AgentDefinitionError, match=case.said):
        case.make()


# --- results

STARTED, FINISHED = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)


def _run(status: RunStatus, error: RunError | None = None) -> RunResult:
    return RunResult(
        run_id="r1",
        agent="a",
        status=status,
        output="so far",
        error=error,
        usage=Usage(requests=2),
        turns=2,
        tool_calls=1,
        model="m",
        files=["f"],
        started_at=STARTED,
        finished_at=FINISHED,
    )


def test_result_of_a_completed_run() -> None:
    """The result of a completed run says how it ended."""
    run = _run(RunStatus.COMPLETED)
    result = AgentResult.from_run(run)
    assert (result.success, result.content, result.reply, result.error) == (True, "so far", "so far", None)
    assert (result.usage, result.run_id, result.status) == (Usage(requests=2), "r1", RunStatus.COMPLETED)
    assert result.metadata == {
        "agent": "a",
        "turns": 2,
        "tool_calls": 1,
        "model": "m",
        "finish_reason": None,
        "files": ["f"],
        "started_at": STARTED,
        "finished_at": FINISHED,
    }
    assert result.raise_on_failure() is result
    assert repr(result) == "<AgentResult completed run_id='r1' 'so far'>"
    with pytest.raises(FrozenInstanceError):
        result.success = False  # type: ignore[misc]


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.COMPLETED])
def test_result_of_a_run_that_did_not_complete(status: RunStatus) -> None:
    """The result of a failed run is unsuccessful and has the reason."""
    run = _run(status, RunError(type=ErrorType.MAX_TURNS, message="2 turns were made"))
    result = AgentResult.from_run(run)
    assert (result.success, result.error) == (False, "2 turns were made")
    with pytest.raises(RunFailed, match="2 turns were made") as caught:
        result.raise_on_failure()
    assert caught.value.result is run
    assert AgentResult.from_run(_run(status)).error == f"the run ended as {status}"
