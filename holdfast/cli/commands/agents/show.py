"""`agents show`: one agent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast._util.terminal import clean
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.conversion import definition_of, origin_of
from holdfast.budgets import plain_budget
from holdfast.cli.found_agent import FoundAgent
from holdfast.cli.options import AgentNameArgument, JsonOption, at_least
from holdfast.cli.registry import history_of, opened_registry, unknown
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import cut, duration, local_time, one_line, pairs, wrapped
from holdfast.errors import UsageError
from holdfast.settings import Settings
from holdfast.storage.registry import VersionedRegistry
from holdfast.storage.registry.documents import Format, write_definition
from holdfast.types import model_names

if TYPE_CHECKING:
    from holdfast.storage.registry import RegistryProtocol

EXAMPLES = """
    $ agents show guide
    $ agents show guide --version 2
    $ agents show guide --format toml > guide.toml
"""


async def show(
    name: AgentNameArgument,
    version: Annotated[
        int | None,
        typer.Option(
            metavar="N", callback=at_least(1), help="A version of the registered agent. Default: the current."
        ),
    ] = None,
    language: Annotated[
        Format | None,
        typer.Option("--format", metavar="F", help="Write a file for `agents register`: toml, yaml or json."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Shows one agent: its prompt, model, tools and limits.

    This is the agent that `run NAME` runs. With --version it is a version of the
    registered agent, even if the agent has been unregistered since.
    """
    if language and json:
        raise UsageError("--format and --json exclude each other")
    out = Output(json=json)
    settings = Settings.load()
    found = await _find(settings, name, version, is_copied=language is not None)
    if json:
        out.document(found.document())
    elif language:
        text = write_definition(found.definition, language)
        sys.stdout.write(clean(text) if sys.stdout.isatty() else text)
    else:
        _show_page(out, found, settings)


async def _find(settings: Settings, name: str, number: int | None, *, is_copied: bool) -> FoundAgent:
    catalog = AgentCatalog.load(settings.holdfast_agents)
    if number is None and name in catalog:
        agent = catalog.get(name)
        return FoundAgent(definition_of(agent, without_code=not is_copied), "code", origin_of(agent))
    async with opened_registry(settings) as registry:
        if number is not None:
            return await _numbered(registry, name, number)
        current = await _current(registry, name)
        if current is None:
            raise await unknown(name, registry, catalog.names())
        return current


async def _current(registry: RegistryProtocol, name: str) -> FoundAgent | None:
    if isinstance(registry, VersionedRegistry):
        version = await registry.version(name)
        return FoundAgent.of(version) if version else None
    agent = await registry.get_agent(name)
    return FoundAgent(definition_of(agent), "registry", origin_of(agent)) if agent else None


async def _numbered(registry: RegistryProtocol, name: str, number: int) -> FoundAgent:
    versions = {version.version: version for version in await history_of(registry, name)}
    if number not in versions:
        raise UsageError(f"agent {name!r} has no version {number}: there are 1 to {max(versions)}")
    return FoundAgent.of(versions[number])


def _show_page(out: Output, found: FoundAgent, settings: Settings) -> None:
    definition = found.definition
    room = out.width - len("  settings  ")
    out.say((one_line(definition.name), "bold"), f"  {one_line(definition.description)}".rstrip())
    out.lines(pairs([(name, cut(one_line(value), room)) for name, value in _facts(found, settings)]))
    if definition.system_prompt:
        out.say()
        out.say(wrapped(definition.system_prompt, out.width, indent=2))


def _facts(found: FoundAgent, settings: Settings) -> list[tuple[str, str]]:
    definition = found.definition
    limit = duration(definition.timeout or settings.agent_execution_timeout)
    facts = [("from", f"{found.source}, {found.origin}" if found.origin else found.source)]
    if found.registered_at:
        facts.append(("version", f"{definition.version}, registered {local_time(found.registered_at)}"))
    facts += [
        ("model", ", then ".join(model_names(definition.model)) or f"{settings.default_model} (the default)"),
        ("tools", ", ".join(definition.tools) or "none"),
        *([("mcp", ", ".join(definition.mcp))] if definition.mcp else []),
        ("limits", f"{definition.max_turns} turns, {limit}"),
    ]
    if definition.output_schema is not None:
        facts.append(("answers", f"JSON that matches a schema, after at most {definition.output_retries} repairs"))
    if definition.budget:
        facts.append(
            ("budget", ", ".join(f"{name}={value}" for name, value in plain_budget(definition.budget).items()))
        )
    if definition.model_settings:
        facts.append(("settings", ", ".join(f"{name}={value}" for name, value in definition.model_settings.items())))
    return facts
