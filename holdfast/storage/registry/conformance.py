"""The conformance suite of every registry. Use it to test a registry of your own.

Each check takes a registry and uses names of its own, so all checks can share one registry:

    await check_registry(MyRegistry)

or, with pytest, one test for each:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_registry(check):
        await check(MyRegistry())
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from holdfast.agents.agent import Agent
from holdfast.agents.conversion import definition_of
from holdfast.definition import AgentDefinition
from holdfast.ports.registry import RegistryProtocol, UnregisteringRegistry

RegistryFactory = Callable[[], RegistryProtocol]
"""Returns a new registry; registries may share their data."""

Check = Callable[[RegistryProtocol], Awaitable[None]]

CONCURRENCY = 20  # agents that are registered concurrently

HOSTILE_NAMES = (
    "a:b",
    "⟩",
    "'",
    "\\⟩",
    "`",
    '"; DELETE agent; --',
    "agent:['x', 1]",
    "a/b/../c",
    "a@b",
    "@",
    "3",
    "3.0",
    "NONE",
    "null",
    "$name",
    "naïve 漢字 \U0001f600",
    "e\u0301",
    "x" * 1000,
)
"""Names that query languages and file systems often mishandle."""


class LookalikeTool:
    """A tool of another library."""

    def __init__(self, name: str) -> None:
        self.name = name


class Lookalike:
    """An agent of another library, with a name and fields of its own."""

    def __init__(self, name: str, **fields: Any) -> None:
        self.name = name
        self.instructions = "Help."
        self.tools = [LookalikeTool("read_file")]
        vars(self).update(fields)


class Helper(Agent):
    """An agent of this library."""

    system_prompt = "Help."


async def check_registry(make: RegistryFactory) -> None:
    """Runs every check, each on a registry of its own.

    Raises:
        AssertionError: the registry violates a guarantee; the message says which.
    """
    for check in CHECKS:
        await check(make())


async def registered_agents_are_found(registry: RegistryProtocol) -> None:
    """A definition, an agent and a lookalike are returned under their names, and convert to definitions."""
    _is(isinstance(registry, RegistryProtocol), expected=True, guarantee="a registry has all methods of the protocol")
    names = _names(3)
    definition = AgentDefinition(name=names[0], system_prompt="Help.", tools=["read_file"], model_settings={"n": 2**63})
    for agent in (definition, Helper(name=names[1]), Lookalike(names[2])):
        name = definition_of(agent).name
        _is(await registry.exists(name), expected=False, guarantee="nothing exists before it is registered")
        await registry.register(agent)
        _is(await registry.exists(name), expected=True, guarantee="what was registered exists")
        _same(await registry.get(name), agent, "get returns the registered agent")
        _same(await registry.get_agent(name), agent, "get_agent returns the registered agent")


async def unknown_agents_are_reported(registry: RegistryProtocol) -> None:
    """`get` raises a KeyError with the standard message, `get_agent` returns None, `unregister` returns false."""
    for name in (*_names(1), "", " ", "a\0b", "it's", "x" * 5000, "a@3"):
        try:
            await registry.get(name)
        except KeyError as error:
            _is(
                str(error), expected=f"Agent {name!r} not found", guarantee="the KeyError says which agent is not there"
            )
        else:
            raise AssertionError(f"guarantee violated: get raises KeyError for {name!r:.80}")
        _is(await registry.get_agent(name), expected=None, guarantee="get_agent returns None for an unknown name")
        _is(await registry.exists(name), expected=False, guarantee="what is not there does not exist")
        if isinstance(registry, UnregisteringRegistry):
            _is(await registry.unregister(name), expected=False, guarantee="what is not there cannot be unregistered")


async def the_list_is_in_order_of_first_registration(registry: RegistryProtocol) -> None:
    """Registering again keeps the position; an agent that was unregistered is listed last when it returns."""
    first, second, third = names = sorted(_names(3), reverse=True)
    for name in names:
        await registry.register(AgentDefinition(name=name))
    await registry.register(AgentDefinition(name=first, system_prompt="changed"))
    _is(await _listed(registry, names), expected=[first, second, third], guarantee="names are in order of registration")
    if not isinstance(registry, UnregisteringRegistry):
        return
    _is(await registry.unregister(first), expected=True, guarantee="unregister says that the agent was there")
    _is(await _listed(registry, names), expected=[second, third], guarantee="an unregistered agent is not listed")
    _is(await registry.exists(first), expected=False, guarantee="an unregistered agent does not exist")
    await registry.register(AgentDefinition(name=first, system_prompt="changed"))
    _is(await _listed(registry, names), expected=[second, third, first], guarantee="what comes back goes last")


async def the_newest_registration_counts(registry: RegistryProtocol) -> None:
    """Registering a name again replaces the agent that `get` returns."""
    [name] = _names(1)
    for prompt in ("one", "two", "three", "one"):
        definition = AgentDefinition(name=name, system_prompt=prompt)
        await registry.register(definition)
        _same(await registry.get(name), definition, "get returns the newest definition")


async def hostile_names_are_names(registry: RegistryProtocol) -> None:
    """Names with special characters are plain text, and all of them are distinct."""
    mark = uuid.uuid4().hex
    names = [f"{name}{mark}"[-1000:] for name in HOSTILE_NAMES] + [f"{mark}{name}"[:1000] for name in HOSTILE_NAMES]
    for name in names:
        await registry.register(AgentDefinition(name=name, description=name))
    _is(await _listed(registry, names), expected=names, guarantee="hostile names are listed as they are")
    for name in names:
        _same(await registry.get(name), AgentDefinition(name=name, description=name), "a hostile name is found")
        if isinstance(registry, UnregisteringRegistry):
            _is(await registry.unregister(name), expected=True, guarantee="a hostile name is unregistered")
    if isinstance(registry, UnregisteringRegistry):
        _is(await _listed(registry, names), expected=[], guarantee="hostile names are gone")


async def invalid_agents_are_rejected(registry: RegistryProtocol) -> None:
    """Objects without a valid name are rejected and change nothing."""
    before = await registry.list_agents()
    for thing in (None, 3, "name", {"name": "x"}, Lookalike.__new__(Lookalike), _named(None), _named(3), _named(["x"])):
        await _refused(registry, thing, TypeError)
    for name in ("", " ", " x", "x\n", "a\0b", "\x1b[2J", "\ud800", "x" * 1001, "x@3"):
        await _refused(registry, _named(name), ValueError)
    _is(await registry.list_agents(), expected=before, guarantee="what is refused is not listed")


async def concurrent_registrations_all_succeed(registry: RegistryProtocol) -> None:
    """Concurrent registrations lose no agent and list none twice."""
    names = _names(CONCURRENCY)
    await asyncio.gather(*(registry.register(AgentDefinition(name=name)) for name in names for _ in range(2)))
    _is(sorted(await _listed(registry, names)), expected=sorted(names), guarantee="each of many is listed once")


CHECKS: tuple[Check, ...] = (
    registered_agents_are_found,
    unknown_agents_are_reported,
    the_list_is_in_order_of_first_registration,
    the_newest_registration_counts,
    hostile_names_are_names,
    invalid_agents_are_rejected,
    concurrent_registrations_all_succeed,
)
"""All checks of the protocol."""


def _names(number: int) -> list[str]:
    mark = uuid.uuid4().hex[:8]
    return [f"agent {place} {mark}" for place in range(number)]


def _named(name: Any) -> Lookalike:
    return Lookalike(name)


async def _listed(registry: RegistryProtocol, names: list[str]) -> list[str]:
    return [name for name in await registry.list_agents() if name in names]


async def _refused(registry: RegistryProtocol, thing: Any, kind: type[Exception]) -> None:
    try:
        await registry.register(thing)
    except kind as error:
        _is(bool(str(error)), expected=True, guarantee="an error has a message")
    else:
        raise AssertionError(f"guarantee violated: {thing!r:.80} is refused with a {kind.__name__}")


def _same(found: Any, registered: Any, guarantee: str) -> None:
    expected = definition_of(registered).content()
    _is(definition_of(found).content(), expected=expected, guarantee=guarantee)


def _is(found: Any, *, expected: Any, guarantee: str) -> None:
    if found != expected:
        raise AssertionError(f"guarantee violated: {guarantee}: expected {expected!r:.500}, got {found!r:.500}")
