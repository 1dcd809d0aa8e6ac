"""Parts of the registry without a database: custom registries, the factory, names, conversions, blocking calls."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import Agent, AgentDefinition, BaseRegistry, InMemoryRegistry, RegistryProtocol, tool
from holdfast._util.blocking import run_blocking
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.resolve import resolve
from holdfast.composition.persistence import close_shared_persistence
from holdfast.composition.registry import register_backend, registry_factory
from holdfast.definition import check_name, split_version
from holdfast.errors import AgentDefinitionError, NotAnAgent, SettingsError, UsageError
from holdfast.storage.registry import definition_of, name_of, not_found
from holdfast.storage.registry.conformance import Helper, Lookalike, check_registry
from holdfast.storage.registry.surreal import SurrealRegistry

OWN = """
from holdfast import BaseRegistry, InMemoryRegistry, run_blocking

class Own(InMemoryRegistry):
    pass

def broken():
    return "not a registry"
"""


class Own(BaseRegistry):
    """The least that a registry of one's own is; its client blocks."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self._rows = rows

    async def get(self, name: str) -> Any:
        try:
            return await run_blocking(self._rows.__getitem__, name)
        except KeyError:
            raise not_found(name) from None

    async def register(self, agent: Any) -> None:
        await run_blocking(self._rows.__setitem__, name_of(agent), agent)

    async def list_agents(self) -> list[str]:
        return await run_blocking(list, self._rows)

    async def unregister(self, name: str) -> bool:
        return await run_blocking(self._rows.pop, name, None) is not None


async def test_a_registry_of_ones_own_conforms() -> None:
    """A subclass of `BaseRegistry` with the required methods conforms."""
    await check_registry(lambda: Own({}))
    assert isinstance(Own({}), RegistryProtocol)


@pytest.mark.parametrize("missing", ["get", "register", "list_agents"])
def test_a_missing_method_shows_at_construction(missing: str) -> None:
    """A registry that lacks a required method cannot be constructed."""
    methods = {name: vars(Own)[name] for name in ("get", "register", "list_agents") if name != missing}
    incomplete = type("Incomplete", (BaseRegistry,), methods)
    with pytest.raises(TypeError, match=missing):
        incomplete()


async def test_a_registry_need_not_unregister() -> None:
    """Unregistering is optional, and refused where it is not supported."""
    methods = {name: vars(Own)[name] for name in ("__init__", "get", "register", "list_agents")}
    registry: BaseRegistry = type("Keeper", (BaseRegistry,), methods)({})
    with pytest.raises(UsageError, match="Keeper cannot unregister 'x'"):
        await registry.unregister("x")


async def test_memory_gives_the_very_object_and_shares_nothing() -> None:
    """The registry in memory returns the registered object and shares nothing with others."""
    one, other = InMemoryRegistry(), InMemoryRegistry()
    agent = Lookalike("guest", instructions=lambda: "a function is welcome here", handoffs=["x"])
    await one.register(agent)
    assert await one.get("guest") is agent
    assert await one.get_agent("guest") is agent
    assert await other.list_agents() == []
    await one.register(Helper)
    assert await one.get("Helper") is Helper


async def test_what_is_missing_is_reported_in_these_words() -> None:
    """A missing agent raises a KeyError with a readable message."""
    with pytest.raises(KeyError) as error:
        await InMemoryRegistry().get("x")
    assert str(error.value) == "Agent 'x' not found"


@pytest.mark.parametrize("thing", [None, 3, {"name": "x"}, "x", object()])
def test_an_object_without_a_name_is_not_an_agent(thing: object) -> None:
    """An object without a name is refused."""
    with pytest.raises(NotAnAgent, match="is not an agent: it has no attribute `name`"):
        name_of(thing)
    assert issubclass(NotAnAgent, TypeError)
    assert issubclass(NotAnAgent, ValueError)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "empty"),
        (" x", "space"),
        ("x" * 1001, "1,001 characters"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("\ud800", "surrogate"),
        ("guide@3", "version"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(name: str, told: str) -> None:
    """Names with control characters or without content are refused."""
    with pytest.raises(AgentDefinitionError, match=told):
        check_name(name)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("guide", ("guide", None)), ("guide@3", ("guide", 3)), ("a@b@12", ("a@b", 12)), ("a@b", ("a@b", None)),
     ("@3", ("@3", None)), ("a@", ("a@", None)), ("a@3.0", ("a@3.0", None)), ("a@-1", ("a@-1", None))],
)  # fmt: skip
def test_a_reference_names_a_version_or_none(reference: str, expected: tuple[str, int | None]) -> None:
    """A reference names an agent, optionally with an exact version."""
    assert split_version(reference) == expected


async def test_the_factory_needs_no_await_and_no_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The factory follows the settings and opens nothing."""
    monkeypatch.chdir(tmp_path)
    assert isinstance(registry_factory(), SurrealRegistry)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing waits for this
    await close_shared_persistence()
    monkeypatch.setenv("STATE_PERSISTENCE_BACKEND", "memory")
    first, second = registry_factory(), registry_factory()
    assert isinstance(first, InMemoryRegistry)
    assert first is second, "what one part of a process registers, another finds"


class FiveMethods:
    """A registry that derives from nothing and has what a registry needs."""

    async def exists(self, name: str) -> bool:
        """Says that there is an agent."""
        return name == "a"

    async def get(self, name: str) -> Any:
        """Returns its definition."""
        return AgentDefinition(name=name)

    async def get_agent(self, name: str) -> Any | None:
        """Returns its definition."""
        return AgentDefinition(name=name)

    async def register(self, agent: Any) -> None:
        """Keeps nothing."""

    async def list_agents(self) -> list[str]:
        """Returns the one."""
        return ["a"]


async def test_five_methods_make_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry need not be able to unregister agents."""
    monkeypatch.setattr("holdfast.composition.registry._backends", {"five": FiveMethods, "four": object})
    assert isinstance(registry_factory("five"), RegistryProtocol)
    with pytest.raises(UsageError, match="needs the coroutines exists, get, get_agent, register, list_agents"):
        registry_factory("four")


def test_an_unknown_backend_is_reported_with_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for an unknown backend lists the known ones."""
    with pytest.raises(ValueError, match=r"'redis' is unknown; known: memory, surrealdb, or module:factory"):
        registry_factory("redis")
    monkeypatch.setenv("AGENT_REGISTRY", "redis")
    with pytest.raises(SettingsError, match=r"AGENT_REGISTRY='redis' is not accepted.*memory, surrealdb"):
        registry_factory()
    monkeypatch.delenv("AGENT_REGISTRY")
    monkeypatch.setenv("STATE_PERSISTENCE_BACKEND", "redis")
    with pytest.raises(ValueError, match=r"STATE_PERSISTENCE_BACKEND='redis'.*'surrealdb' or 'memory'"):
        registry_factory()


def test_a_backend_of_ones_own_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A registry class can be named in the settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    (tmp_path / "own_registry.py").write_text(OWN)
    monkeypatch.setenv("AGENT_REGISTRY", "own_registry:Own")
    assert type(registry_factory()).__name__ == "Own"
    for bad in ("own_registry:broken", "own_registry:nothing", "no_such_module:Own"):
        monkeypatch.setenv("AGENT_REGISTRY", bad)
        with pytest.raises(SettingsError, match=f"AGENT_REGISTRY='{bad}' is not accepted"):
            registry_factory()
    monkeypatch.setenv("AGENT_REGISTRY", "mine")
    register_backend("mine", lambda: Own({}))
    assert isinstance(registry_factory(), Own)


def test_a_lookalike_becomes_a_definition() -> None:
    """An agent-like object is registered with all its settings."""

    class Settings:
        def to_json_dict(self) -> dict[str, Any]:
            return {"temperature": 0.5, "top_p": None}

    @tool(read_only=True)
    def ours() -> str:
        """A tool of ours."""
        return ""

    def plain() -> None: ...

    agent = Lookalike("guest", model="m", model_settings=Settings(), tools=["a", ours, plain, Lookalike("b")])
    assert definition_of(agent) == AgentDefinition(
        name="guest", system_prompt="Help.", model="m", model_settings={"temperature": 0.5},
        tools=["a", "ours", "plain", "b"],
    )  # fmt: skip


def test_a_class_that_needs_arguments_is_refused() -> None:
    """A class whose constructor needs arguments is refused in words."""

    class Needy(Agent):
        def __init__(self, prompt: str) -> None:
            super().__init__(system_prompt=prompt)

    with pytest.raises(AgentDefinitionError, match=r"Needy cannot be registered as a class.*register an instance"):
        definition_of(Needy)


def test_tools_are_found_by_name() -> None:
    """A definition gets exactly the tools that it names; unknown ones are reported."""
    catalog = AgentCatalog.load()
    spec = resolve(AgentDefinition(name="x", tools=["read_file"], version=3), catalog.tools())
    assert ([tool.activity for tool in spec.tools], spec.version) == (["tool.read_file"], 3)
    with pytest.raises(AgentDefinitionError, match=r"worker does not serve: 'fly'; known: .*read_file"):
        resolve(AgentDefinition(name="x", tools=["read_file", "fly"]), catalog.tools())


def test_two_tools_of_one_name_are_refused() -> None:
    """Two tools with one name are refused."""

    class One(Agent):
        @tool(read_only=True)
        def act(self) -> str:
            """Acts."""
            return ""

    class Other(One):
        pass

    served = AgentCatalog([One(), Other()]).tools()
    with pytest.raises(AgentDefinitionError, match="several tools that the model knows as 'act'"):
        resolve(AgentDefinition(name="x", tools=["One.act", "Other.act"]), served)


def test_a_module_may_hold_tools_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A module can provide tools without an agent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "only_tools.py").write_text(
        "from holdfast import tool\n\n@tool(read_only=True)\ndef hammer() -> str:\n    '''Hammers.'''\n    return ''\n"
    )
    assert "tool.hammer" in AgentCatalog.load(["only_tools"]).tools()


async def test_blocking_calls_leave_the_loop_alone() -> None:
    """Blocking calls run outside the loop and know their run."""
    whose = contextvars.ContextVar("whose", default="default")
    whose.set("mine")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    done = threading.Event()

    def block(mark: str, *, seconds: float) -> tuple[str, str, bool]:
        time.sleep(seconds)
        done.set()
        return mark, whose.get(), threading.current_thread() is threading.main_thread()

    assert await run_blocking(block, "x", seconds=0.1) == ("x", "mine", False)
    assert ticks > 5
    ticking.cancel()
    assert done.is_set()


async def test_blocking_calls_raise_what_they_raise() -> None:
    """Errors of blocking calls reach the caller."""

    def stop() -> None:
        raise StopIteration

    async def late() -> None: ...

    with pytest.raises(ZeroDivisionError):
        await run_blocking(divmod, 1, 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(run_blocking(stop), 10)
    with pytest.raises(TypeError, match="await it instead"):
        _ = await run_blocking(late)


def test_the_public_names_are_there() -> None:
    """The names that the README imports exist."""
    names = "RegistryProtocol BaseRegistry InMemoryRegistry registry_factory run_blocking AgentDefinition"
    assert set(names.split()) <= set(holdfast.__all__)
