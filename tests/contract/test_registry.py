"""Registries: each fulfills the port's contract; the persistent one keeps every version, in any process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from surrealdb import RecordID

from holdfast.agents.agent import Agent
from holdfast.bounds import MAX_SECONDS, MAX_TURNS
from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError, StoreUnavailable
from holdfast.storage.database import Database, open_database
from holdfast.storage.edge_cases import EDGE_CASES, EdgeCase
from holdfast.storage.registry import InMemoryRegistry, RegistryProtocol, VersionedRegistry
from holdfast.storage.registry.conformance import CHECKS, Check, Helper, Lookalike, check_registry
from holdfast.storage.registry.surreal import SurrealRegistry
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import slow

ROOT = Path(__file__).parents[2]
BACKENDS = ("surrealkv://", "ws://", *slow("mem://"))
ACCESS = {"username": USERNAME, "password": PASSWORD}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurrealServer]:
    """A SurrealDB server of this module's own."""
    with SurrealServer.find(tmp_path_factory.mktemp("surreal")) as running:
        yield running


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Database]:
    database = open_database(url, **options)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture(params=BACKENDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of each kind; on the server, one for each test."""
    url, options = request.param, {}
    if url == "ws://":
        url, options = request.getfixturevalue("server").url, {**ACCESS, "database": tmp_path.name}
    elif url == "surrealkv://":
        url = f"{url}{tmp_path}/data"
    async with opened(url, **options) as database:
        yield database


@pytest.fixture
def registry(database: Database) -> SurrealRegistry:
    return SurrealRegistry(database)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_memory_registry_conforms(check: Check) -> None:
    """The registry in memory passes the conformance suite."""
    await check(InMemoryRegistry())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_persistent_registry_conforms(check: Check, registry: SurrealRegistry) -> None:
    """The registry on SurrealDB passes the conformance suite."""
    await check(registry)


async def test_the_suite_finds_a_registry_that_forgets() -> None:
    """The conformance suite fails for a registry that loses agents."""

    class Sorted(InMemoryRegistry):
        async def list_agents(self) -> list[str]:
            return sorted(await super().list_agents())

    with pytest.raises(AssertionError, match="guarantee violated: names are in order of registration"):
        await check_registry(Sorted)


def test_registries_are_registries() -> None:
    """Type checkers and `isinstance` accept each registry as one."""
    registries: list[RegistryProtocol] = [InMemoryRegistry(), SurrealRegistry(open_database("mem://"))]
    assert all(isinstance(registry, RegistryProtocol) for registry in registries)
    assert [isinstance(registry, VersionedRegistry) for registry in registries] == [False, True]


async def test_versions_are_counted_and_kept(registry: SurrealRegistry) -> None:
    """Every version keeps its number and stays readable."""
    first, second = (AgentDefinition(name="guide", system_prompt=prompt) for prompt in ("one", "two"))
    assert (await registry.add(first, origin="guide.toml")).current.version == 1
    again = await registry.add(first)
    assert (again.is_new, again.current.version, again.current.origin) == (False, 1, "guide.toml")
    assert (await registry.add(second)).current.version == 2
    back = await registry.add(first)
    assert (back.is_new, back.current.version) == (True, 3)
    history = await registry.history("guide")
    assert [(one.version, one.definition.system_prompt) for one in history] == [(1, "one"), (2, "two"), (3, "one")]
    assert [one.registered_at for one in history] == sorted(one.registered_at for one in history)
    assert history[1] == await registry.version("guide", 2)
    assert history[2] == await registry.version("guide")
    for number in (0, 4, -1, 2**40):
        assert await registry.version("guide", number) is None


async def test_numbers_continue_after_unregistering(registry: SurrealRegistry) -> None:
    """Numbers continue after an agent was unregistered, so that each names one content."""
    await registry.add(AgentDefinition(name="guide", system_prompt="one"))
    assert await registry.unregister("guide")
    assert await registry.version("guide") is None
    assert await registry.version("guide", 1) is None
    assert [one.version for one in await registry.history("guide")] == [1]
    back = await registry.add(AgentDefinition(name="guide", system_prompt="one"))
    assert (back.is_new, back.current.version) == (False, 1)
    await registry.unregister("guide")
    assert (await registry.add(AgentDefinition(name="guide", system_prompt="two"))).current.version == 2


@pytest.mark.parametrize("case", EDGE_CASES, ids=lambda case: case.name)
async def test_unusual_settings_come_back_exactly(case: EdgeCase, registry: SurrealRegistry) -> None:
    """Settings of any JSON value are returned exactly."""
    try:
        definition = AgentDefinition(name="odd", model_settings={"value": case.value})
    except ValueError:
        assert case.name in ("key that is None", "infinite float", "200 levels", "200 levels of keys")
        return
    await registry.register(definition)
    assert (await registry.get("odd")).content() == definition.content()


async def test_unusual_text_comes_back_exactly(registry: SurrealRegistry) -> None:
    """Prompts with any character are returned exactly."""
    text = "a\0b ğ 漢字 \U0001f600 \u2028 '; DELETE agent; -- $head"
    definition = AgentDefinition(
        name="odd",
        system_prompt=text,
        description=text,
        model=text,
        tools=[text],
        max_turns=MAX_TURNS,
        timeout=MAX_SECONDS,
    )
    await registry.register(definition)
    assert (await registry.get("odd")).content() == definition.content()


async def test_asking_for_what_cannot_be_a_name_breaks_nothing(registry: SurrealRegistry) -> None:
    """An impossible name is refused, and the connection stays usable."""
    await registry.register(AgentDefinition(name="guide"))
    names: list[Any] = ["\ud800", None, 3, ["guide"], {"guide"}]
    for name in names:
        assert await registry.get_agent(name) is None
        assert not await registry.exists(name)
        assert not await registry.unregister(name)
        assert await registry.history(name) == []
    assert await registry.list_agents() == ["guide"]


async def test_an_agents_class_is_remembered(registry: SurrealRegistry) -> None:
    """The class of a registered agent is stored and returned."""
    await registry.register(Helper(name="one"))
    await registry.register(Helper)
    await registry.register(Agent(name="plain"))
    await registry.register(Lookalike("guest"))
    origins = {name: (await registry.history(name))[0].origin for name in await registry.list_agents()}
    ours = Helper.__module__
    assert origins == {"one": f"{ours}.Helper", "Helper": f"{ours}.Helper", "plain": None, "guest": f"{ours}.Lookalike"}


@pytest.mark.parametrize(
    "fields",
    [{"instructions": lambda: "x"}, {"handoffs": ["x"]}, {"model": object()}, {"tools": [3]}, {"tools": "read_file"}],
    ids=["function for instructions", "handoffs", "object for a model", "number for a tool", "tools that are text"],
)
async def test_what_would_be_lost_is_refused(fields: dict[str, Any], registry: SurrealRegistry) -> None:
    """An agent with parts that cannot be stored is refused."""
    with pytest.raises(AgentDefinitionError, match="'guest'"):
        await registry.register(Lookalike("guest", **fields))
    assert await registry.list_agents() == []


async def test_a_definition_that_is_too_large_is_refused(registry: SurrealRegistry) -> None:
    """A definition that no run could carry is refused."""
    with pytest.raises(AgentDefinitionError, match="at most 524,288"):
        await registry.register(AgentDefinition(name="long", system_prompt="x" * 600_000))


async def test_a_row_of_a_newer_version_is_reported(registry: SurrealRegistry, database: Database) -> None:
    """A definition of a newer version is reported instead of being read in part."""
    await registry.register(AgentDefinition(name="guide"))
    row = RecordID("agent", ["guide", 1])
    await database.run("""UPDATE $row SET text = '{"name":"guide","invented":[]}'""", row=row)
    with pytest.raises(AgentDefinitionError, match=r"newer version of Holdfast.*invented"):
        await registry.get("guide")
    assert await registry.list_agents() == ["guide"]


async def test_a_torn_version_is_written_over(registry: SurrealRegistry, database: Database) -> None:
    """A half-written version is ignored and replaced by the next registration."""
    await registry.register(AgentDefinition(name="guide", system_prompt="one"))
    orphan = {**(await database.run("SELECT * FROM agent"))[0][0], "id": RecordID("agent", ["guide", 2]), "version": 2}
    await database.run("INSERT INTO agent $orphan", orphan=orphan)
    assert await registry.version("guide", 2) is None
    assert len(await registry.history("guide")) == 1
    await registry.register(AgentDefinition(name="guide", system_prompt="two"))
    found = await registry.version("guide", 2)
    assert found
    assert found.definition.system_prompt == "two"


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    """Names, their order and all versions survive a restart."""
    url = f"surrealkv://{tmp_path}/data"
    async with opened(url) as database:
        registry = SurrealRegistry(database)
        for name in ("z", "a", "m"):
            await registry.register(AgentDefinition(name=name))
        await registry.register(AgentDefinition(name="z", system_prompt="two"))
        before = await registry.history("z")
    async with opened(url) as database:
        registry = SurrealRegistry(database)
        assert await registry.list_agents() == ["z", "a", "m"]
        assert await registry.history("z") == before
        await registry.register(AgentDefinition(name="b"))
        assert await registry.list_agents() == ["z", "a", "m", "b"]


WRITER = """
import asyncio, sys
from holdfast.storage.database import open_database
from holdfast.definition import AgentDefinition
from holdfast.storage.registry.surreal import SurrealRegistry
url, name, username, password, me = sys.argv[1:]
async def main():
    database = open_database(url, database=name, username=username, password=password)
    registry = SurrealRegistry(database)
    for number in range(10):
        await registry.register(AgentDefinition(name="shared", system_prompt=f"{me} {number}"))
        await registry.register(AgentDefinition(name=f"{me} {number}"))
    await database.close()
asyncio.run(main())
"""


async def test_several_processes_register_at_once(server: SurrealServer, tmp_path: Path) -> None:
    """Processes that register at once get distinct versions, and no agent is lost."""
    words = [sys.executable, "-c", WRITER, server.url, tmp_path.name, USERNAME, PASSWORD]
    running = [await asyncio.create_subprocess_exec(*words, me, cwd=ROOT) for me in ("one", "two", "three")]
    assert [await process.wait() for process in running] == [0, 0, 0]
    async with opened(server.url, database=tmp_path.name, **ACCESS) as database:
        registry = SurrealRegistry(database)
        history = await registry.history("shared")
        listed = await registry.list_agents()
    assert [one.version for one in history] == list(range(1, 31))
    expected = {f"{me} {number}" for me in ("one", "two", "three") for number in range(10)}
    assert {one.definition.system_prompt for one in history} == expected
    assert sorted(listed) == sorted([*expected, "shared"])
    for me in ("one", "two", "three"):
        assert [name for name in listed if name.startswith(f"{me} ")] == [f"{me} {number}" for number in range(10)]


async def test_a_reader_may_read_and_is_told_that_it_cannot_write(server: SurrealServer, tmp_path: Path) -> None:
    """A read-only user can read, and gets an error for a registration."""
    async with opened(server.url, database=tmp_path.name, **ACCESS) as database:
        await SurrealRegistry(database).register(AgentDefinition(name="guide"))
        await database.run("DEFINE USER reader ON DATABASE PASSWORD 'r' ROLES VIEWER")
    async with opened(server.url, database=tmp_path.name, username="reader", password="r") as database:
        registry = SurrealRegistry(database)
        assert await registry.list_agents() == ["guide"]
        with pytest.raises(StoreUnavailable):
            await registry.register(AgentDefinition(name="guide", system_prompt="two"))
        with pytest.raises(StoreUnavailable):
            await registry.unregister("guide")
