"""The catalog: which agents a worker serves, and its error messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from holdfast.agents.agent import Agent
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.shipped.assistant import assistant
from holdfast.agents.shipped.coder import coder
from holdfast.agents.shipped.frontend_developer import frontend_developer
from holdfast.agents.shipped.persona import persona
from holdfast.agents.shipped.researcher import researcher
from holdfast.agents.tool import tool
from holdfast.errors import AgentDefinitionError, UnknownAgent

HEAD = "from holdfast.agents.agent import Agent\nfrom holdfast.agents.tool import tool\n"

Write = Callable[..., None]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes modules into the working directory, which is not on sys.path; forgets them afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in {"", str(tmp_path)}])
    before = set(sys.modules)

    def write(**sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(HEAD + dedent(source))

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_shipped_agents_are_always_there() -> None:
    """The agents of the package are always available."""
    catalog = AgentCatalog.load()
    assert catalog.names() == ("assistant", "coder", "frontend-developer", "persona", "researcher")
    assert catalog.get("researcher") is researcher
    assert list(catalog) == [assistant, coder, frontend_developer, persona, researcher]
    assert "researcher" in catalog
    assert len(catalog) == 5
    files = {"tool.list_files", "tool.search_files", "tool.read_file", "tool.write_file"}
    performed_by_the_run = {"tool.sleep", "tool.wait_for_event", "tool.ask_human", "tool.emit", "tool.wait_for_message"}
    memory, web = {"tool.remember", "tool.search_memory"}, {"tool.fetch_url", "tool.download_file"}
    memory |= {f"tool.memory_{what}" for what in ("list", "read", "write", "edit", "delete")}
    commands = {"tool.run_shell", "tool.run_python"}
    names = ("plan_page", "write_component", "build_page", "deploy_page")
    pages = {f"tool.frontend-developer.{name}" for name in names}
    assert set(catalog.tools()) == files | memory | web | commands | pages | performed_by_the_run
    assert repr(catalog) == "<AgentCatalog: assistant, coder, frontend-developer, persona, researcher>"


def test_unknown_agent_is_reported_with_the_known_ones() -> None:
    """The error for an unknown agent lists the known ones."""
    catalog = AgentCatalog([Agent(name="b"), Agent(name="a")])
    with pytest.raises(UnknownAgent, match=r"^Agent 'x' not found; known: a, b$"):
        catalog.get("x")
    with pytest.raises(UnknownAgent, match="known: none"):
        AgentCatalog().get("x")


def test_agents_of_modules_are_collected(modules: Write) -> None:
    """Agents that a module defines are served; those that it imports are not built twice."""
    modules(
        mine_base="""
            class Imported(Agent):
                def __init__(self):
                    raise AssertionError("built by a module that only imports it")
            shared = Agent(name="shared")
            """,
        mine_all="""
            from mine_base import Imported, shared
            from mine_base import shared as again
            class Plain(Agent): ...
            class _Private(Agent): ...
            class Held(Agent):
                def __init__(self, name):
                    super().__init__(name=name)
            one, two = Held("one"), Held("two")
            alias = Plain
            _hidden = Agent(name="hidden")
            """,
        mine_other="""
            from mine_base import shared
            """,
    )
    catalog = AgentCatalog.load(["mine_all", "mine_other", "mine_all"])
    assert catalog.names() == (
        "Plain",
        "assistant",
        "coder",
        "frontend-developer",
        "one",
        "persona",
        "researcher",
        "shared",
        "two",
    )
    assert [agent.name for agent in catalog] == list(catalog.names())


def test_working_directory_is_put_on_the_path_once(modules: Write) -> None:
    """Modules in the working directory are found, and `sys.path` is extended once."""
    modules(mine_here="agent = Agent(name='here')")
    before = list(sys.path)
    AgentCatalog.load()
    assert sys.path == before
    AgentCatalog.load(["mine_here"])
    AgentCatalog.load(["mine_here"])
    assert sys.path == [str(Path.cwd()), *before]


def test_one_function_in_two_agents_is_one_tool(modules: Write) -> None:
    """Two agents can share a function."""
    modules(
        mine_shared="""
            def look(a: str) -> str: ...
            class Tidy(Agent):
                tools = [look]
                @tool
                def own(self) -> str: ...
            class Other(Tidy): ...
            """
    )
    tools = AgentCatalog.load(["mine_shared"]).tools()
    assert {"tool.look", "tool.Tidy.own", "tool.Other.own"} < set(tools)
    assert all(activity == tool.spec.activity for activity, tool in tools.items())


def make_same(reply: str) -> Agent:
    """An agent with a tool of a name that other agents use too."""

    @tool(name="same")
    def inner() -> str:
        return reply

    return Agent(name=reply, tools=[inner])


def test_tools_of_one_name_live_side_by_side() -> None:
    """Tools of the same name in two agents are served under types that name the agent, which their runs use."""
    a, b = make_same("a"), make_same("b")
    alone, both = AgentCatalog([a]), AgentCatalog([a, b])
    assert set(alone.tools()) == {"tool.same"}
    assert {activity: found() for activity, found in both.tools().items()} == {"tool.a.same": "a", "tool.b.same": "b"}
    assert all(activity == found.spec.activity for activity, found in both.tools().items())
    assert [tool.activity for agent in (a, b) for tool in both.spec(agent).tools] == ["tool.a.same", "tool.b.same"]
    assert [tool.name for tool in both.spec(a).tools] == ["same"]
    assert [tool.activity for tool in alone.spec(a).tools] == ["tool.same"]


def test_tools_of_one_name_in_two_modules_live_side_by_side(modules: Write) -> None:
    """Tools of the same name in two modules are named after the module; a shipped tool keeps its short name."""
    modules(
        mine_first="""
            @tool
            def stock(item: str) -> str: ...
            """,
        mine_second="""
            @tool
            def stock(item: str) -> str: ...
            @tool
            def read_file(path: str) -> str: ...
            """,
    )
    catalog = AgentCatalog.load(["mine_first", "mine_second"])
    tools = catalog.tools()
    assert {"tool.mine_first.stock", "tool.mine_second.stock", "tool.mine_second.read_file"} < set(tools)
    assert "tool.stock" not in tools
    assert tools["tool.read_file"].function.__module__ == "holdfast.tools.files"
    assert catalog.spec(catalog.get("researcher")) == catalog.get("researcher").spec()


def test_two_tools_of_one_name_in_one_module_are_refused() -> None:
    """Two tools of the same name in one module have no types that tell them apart."""
    [one], [other] = make_same("a").tools, make_same("b").tools
    with pytest.raises(AgentDefinitionError, match=r"same': .*inner \(.*:\d+\) and .*inner \(.*:\d+\); rename one"):
        AgentCatalog(tools=[one, other]).tools()


@dataclass(frozen=True)
class LoadCase:
    """A module that cannot be used, and its error message."""

    name: str
    source: str
    said: str


REFUSED = [
    LoadCase("does not compile", "def", r"cannot be used: \S+/mine_bad\.py:\d+: SyntaxError"),
    LoadCase("raises", "raise KeyError('k')", r"cannot be used: \S+/mine_bad\.py:\d+: KeyError: 'k'"),
    LoadCase("exits", "raise SystemExit(2)", r"cannot be used: \S+/mine_bad\.py:\d+: SystemExit: 2"),
    LoadCase(
        "imports what is not there", "import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"
    ),
    LoadCase(
        "runs",
        "import holdfast\na = holdfast.Agent(name='a')\na.sync.run('go')",
        "'mine_bad' runs an agent.*if __name__ ==",
    ),
    LoadCase(
        "runs in a loop",
        "import asyncio, holdfast\na = holdfast.Agent(name='a')\nasyncio.run(a.run('go'))",
        "'mine_bad' runs an agent",
    ),
    LoadCase(
        "connects",
        "import asyncio, holdfast\nasync def f():\n  async with holdfast.connect(): ...\nasyncio.run(f())",
        "'mine_bad' runs an agent, or connects",
    ),
    LoadCase(
        "raises what has no text",
        "class E(Exception):\n  def __str__(self): return 1 / 0\nraise E",
        r"E \(its text cannot be shown: ZeroDivisionError\)",
    ),
    LoadCase("no agent", "answer = 42", "which defines neither an agent"),
    LoadCase("bad tool", "@tool\ndef f(x): ...", "tool f: parameter 'x' needs a type"),
    LoadCase("bad agent", "a = Agent(name='a', max_turns=0)", "max_turns=0 is not accepted"),
    LoadCase(
        "needs arguments", "class A(Agent):\n  def __init__(self, x): ...", r"A\(\) failed: TypeError.*instance of it"
    ),
    LoadCase("bad class", "class A(Agent):\n  name = '/'", "agent name '/'"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_module_that_cannot_be_used_is_named(case: LoadCase, modules: Write) -> None:
    """A module that cannot be loaded is named."""
    modules(mine_bad=case.source)
    with pytest.raises(AgentDefinitionError, match=f"HOLDFAST_AGENTS names 'mine_bad'.*{case.said}"):
        AgentCatalog.load(["mine_bad"])


@pytest.mark.parametrize("name", ["no_such_module", "no.such.module", "agents/mine.py", "", "..", "a b"])
def test_module_that_is_not_there_is_named(name: str, modules: Write) -> None:
    """A missing module in HOLDFAST_AGENTS is named."""
    with pytest.raises(AgentDefinitionError, match=f"HOLDFAST_AGENTS names '{name}', which cannot be used: "):
        AgentCatalog.load([name])


@pytest.mark.parametrize(("name", "meant"), [("mine.py", "mine"), ("./mine.py", "mine"), ("team/mine", "team.mine")])
def test_a_file_is_answered_with_its_module(name: str, meant: str) -> None:
    """HOLDFAST_AGENTS takes modules; for the path of a file, the error names the module that is meant."""
    with pytest.raises(AgentDefinitionError, match=f"name the module, '{meant}', not its file"):
        AgentCatalog.load([name])


def test_two_agents_of_one_name_are_refused(modules: Write) -> None:
    """Two agents with one name are refused."""
    modules(mine_a="a = Agent(name='twin')", mine_b="b = Agent(name='twin')")
    with pytest.raises(AgentDefinitionError, match="two agents are named 'twin': one in mine_a, one in mine_b"):
        AgentCatalog.load(["mine_a", "mine_b"])
    modules(mine_c="c = Agent(name='researcher')")
    with pytest.raises(
        AgentDefinitionError, match=r"'researcher': one in holdfast\.agents\.shipped\.researcher, one in mine_c"
    ):
        AgentCatalog.load(["mine_c"])
    modules(mine_d="d = Agent(name='twin')\ne = Agent(name='twin')")
    with pytest.raises(AgentDefinitionError, match="two agents are named 'twin': both in mine_d; rename"):
        AgentCatalog.load(["mine_d"])


def test_tools_are_checked_when_loading(modules: Write) -> None:
    """Clashes of tools within a module are found when agents are loaded."""
    modules(
        mine_clash="""
            @tool(name="stock")
            def one() -> str: ...
            @tool(name="stock")
            def other() -> str: ...
            """
    )
    with pytest.raises(AgentDefinitionError, match=r"'tool\.mine_clash\.stock'.*rename one"):
        AgentCatalog.load(["mine_clash"])


def test_researcher_is_ready_to_run() -> None:
    """The shipped researcher has its instructions, tools and limit."""
    spec = researcher.spec()
    assert [known.name for known in spec.tools] == ["list_files", "search_files", "read_file", "write_file"]
    assert spec.max_turns == 30
    assert "reports/" in spec.system_prompt
    assert all(f"{known.name}" in spec.system_prompt for known in spec.tools)
