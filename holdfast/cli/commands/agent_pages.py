"""`agents show` and `agents history`: one agent, as it is and as it was."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Any

import typer

from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.conversion import origin_of
from holdfast.cli.commands.agents import NameArgument
from holdfast.cli.options import JsonOption
from holdfast.cli.registry import history_of, opened_registry, unknown
from holdfast.cli.render.output import Output
from holdfast.cli.render.table import show_table
from holdfast.cli.render.text import columns, cut, duration, local_time, one_line, wrapped
from holdfast.definition import AgentDefinition
from holdfast.errors import UsageError
from holdfast.settings import Settings
from holdfast.storage.registry import AgentVersion, RegistryProtocol, VersionedRegistry, definition_of
from holdfast.storage.registry.documents import Format, write_definition

SHOW_EXAMPLES = """
    $ agents show guide
    $ agents show guide --version 2
    $ agents show guide --format toml > guide.toml
"""


@dataclass(frozen=True)
class Found:
    """An agent, and where it is from."""

    definition: AgentDefinition
    place: str
    """`code` or `registry`."""
    origin: str | None = None
    registered_at: datetime | None = None

    @classmethod
    def of(cls, version: AgentVersion) -> Found:
        """One version of a registered agent."""
        return cls(version.definition, "registry", version.origin, version.registered_at)

    def document(self) -> dict[str, Any]:
        """The agent as plain values."""
        registered_at = self.registered_at.isoformat() if self.registered_at else None
        origin = {"from": self.place, "origin": self.origin, "registered_at": registered_at}
        return {**self.definition.model_dump(mode="json"), **origin}


async def show(
    name: NameArgument,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="A version of the registered agent. Default: the current.")
    ] = None,
    language: Annotated[
        Format | None, typer.Option("--format", metavar="F", help="As a file for `agents register`: toml, yaml, json.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Shows one agent: its prompt, model, tools and limits.

    The one that `run NAME` runs. With --version one of those that were registered,
    also of an agent that has been unregistered since.
    """
    if language and json:
        raise UsageError("--format gives a file, --json a document: choose one")
    out = Output(json=json)
    settings = Settings.load()
    found = await _find(settings, name, version)
    if json:
        out.document(found.document())
    elif language:
        sys.stdout.write(write_definition(found.definition, language))
    else:
        _show_page(out, found, settings)


async def _find(settings: Settings, name: str, number: int | None) -> Found:
    catalog = AgentCatalog.load(settings.holdfast_agents)
    if number is None and name in catalog:
        agent = catalog.get(name)
        return Found(definition_of(agent), "code", origin_of(agent))
    async with opened_registry(settings) as registry:
        return await (_current(registry, name) if number is None else _numbered(registry, name, number))


async def _current(registry: RegistryProtocol, name: str) -> Found:
    if isinstance(registry, VersionedRegistry):
        version = await registry.version(name)
        if version is None:
            raise unknown(name)
        return Found.of(version)
    agent = await registry.get_agent(name)
    if agent is None:
        raise unknown(name)
    return Found(definition_of(agent), "registry", origin_of(agent))


async def _numbered(registry: RegistryProtocol, name: str, number: int) -> Found:
    versions = {version.version: version for version in await history_of(registry, name)}
    if number not in versions:
        raise UsageError(f"agent {name!r} has no version {number}: there are 1 to {max(versions)}")
    return Found.of(versions[number])


def _show_page(out: Output, found: Found, settings: Settings) -> None:
    definition = found.definition
    room = out.width - len("  settings  ")
    out.say((one_line(definition.name), "bold"), f"  {one_line(definition.description)}".rstrip())
    out.lines(columns([(name, cut(one_line(value), room)) for name, value in _facts(found, settings)]))
    if definition.system_prompt:
        out.say()
        out.say(wrapped(definition.system_prompt, out.width, indent=2))


def _facts(found: Found, settings: Settings) -> list[tuple[str, str]]:
    definition = found.definition
    limit = duration(definition.timeout or settings.agent_execution_timeout)
    facts = [("from", f"{found.place}, {found.origin}" if found.origin else found.place)]
    if found.registered_at:
        facts.append(("version", f"{definition.version}, registered {local_time(found.registered_at)}"))
    facts += [
        ("model", definition.model or f"{settings.default_model} (the default)"),
        ("tools", ", ".join(definition.tools) or "none"),
        ("limits", f"{definition.max_turns} turns, {limit}"),
    ]
    if definition.model_settings:
        facts.append(("settings", ", ".join(f"{name}={value}" for name, value in definition.model_settings.items())))
    return facts


HISTORY_EXAMPLES = """
    $ agents history guide
    $ agents history guide --json
"""


async def history(name: NameArgument, json: JsonOption = False) -> None:
    """Lists an agent's versions, and what each changed.

    `run NAME@N` runs version N; `agents show NAME --version N` shows it.
    """
    out = Output(json=json)
    async with opened_registry(Settings.load()) as registry:
        versions = await history_of(registry, name)
    if json:
        out.document([Found.of(version).document() for version in versions])
        return
    before = AgentDefinition(name=name).content()
    rows: list[list[str]] = []
    for version in versions:
        content = version.definition.content()
        changed = ", ".join(field for field, value in content.items() if value != before[field])
        origin = PurePath(version.origin or "").name
        rows.append([str(version.version), local_time(version.registered_at), origin, changed])
        before = content
    show_table(out, ("VERSION", "REGISTERED", "FROM", "CHANGED"), rows)
