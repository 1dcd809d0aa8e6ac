"""`agents register`: registers agents that are written in files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.resolve import resolve
from holdfast.cli.options import JsonOption
from holdfast.cli.program import command
from holdfast.cli.registry import opened_registry
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import one_line
from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError, ToolNotServed, UsageError
from holdfast.settings import Settings
from holdfast.storage.registry import RegistryProtocol, VersionedRegistry
from holdfast.storage.registry.documents import Format, read_definition

STDIN = "-"

EXAMPLES = """
    $ agents register guide.toml
    $ agents register agents/*.yaml --json
    $ agents register - --format json < guide.json
"""


async def register(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files with one agent each; - reads from stdin.", show_default=False),
    ],
    *,
    language: Annotated[
        Format | None, typer.Option("--format", metavar="F", help="toml, yaml or json. Default: by the file's ending.")
    ] = None,
    any_tools: Annotated[bool, typer.Option("--any-tools", help="Accept tools that only other workers know.")] = False,
    json: JsonOption = False,
) -> None:
    """Registers agents that are written in TOML, YAML or JSON.

    Fields: name (the only required one), description, system_prompt, model,
    model_settings, context_window, tools, agents, handoffs, mcp, approvals,
    output_schema, output_retries, max_turns, timeout (seconds), budget. A definition
    that differs from the current version becomes the next version; runs that have
    begun keep theirs. If any file has an error, nothing is registered.
    """
    out = Output(json=json)
    settings = Settings.load()
    catalog = AgentCatalog.load(settings.holdfast_agents)
    definitions = _read(files, language)
    if not any_tools:
        _check(definitions, catalog)
    async with opened_registry(settings, writes=True) as registry:
        outcomes = [await _register(registry, definition, file) for file, definition in definitions.items()]
    for name in (outcome["name"] for outcome in outcomes):
        if name in catalog:
            out.warn(f"the code defines an agent {name!r} too: `run {name}` runs that one")
    if json:
        out.document(outcomes)
        return
    for outcome in outcomes:
        out.say(_sentence(outcome))
    out.note(f"  run it:  {command('run', outcomes[-1]['name'], 'INPUT')}")


def _read(files: list[str], language: Format | None) -> dict[str, AgentDefinition]:
    """The definitions by file; the error names every fault of every file."""
    definitions: dict[str, AgentDefinition] = {}
    faults: list[str] = []
    for file in files:
        try:
            definitions[file] = _read_one(file, language)
        except UsageError as error:
            faults.append(str(error))
    names = [definition.name for definition in definitions.values()]
    faults += [f"several files define {name!r}" for name in sorted({name for name in names if names.count(name) > 1})]
    if faults:
        raise AgentDefinitionError("\n".join(faults))
    return definitions


def _read_one(file: str, language: Format | None) -> AgentDefinition:
    if file == STDIN:
        if language is None:
            raise UsageError("--format is needed to read from stdin: toml, yaml or json")
        return read_definition(sys.stdin.buffer.read(), language, "stdin")
    try:
        return read_definition(Path(file).read_bytes(), language or Format.of(file), file)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None


def _check(definitions: dict[str, AgentDefinition], catalog: AgentCatalog) -> None:
    """Checks that `run` accepts each."""
    for file, definition in definitions.items():
        try:
            resolve(definition, catalog.tools())
        except ToolNotServed as error:
            raise AgentDefinitionError(
                f"{file}: {error}. Name the module that defines them in HOLDFAST_AGENTS, or use --any-tools"
            ) from None
        except AgentDefinitionError as error:
            raise AgentDefinitionError(f"{file}: {error}") from None


async def _register(registry: RegistryProtocol, definition: AgentDefinition, file: str) -> dict[str, Any]:
    outcome = {"name": definition.name, "file": file, "version": None, "new": None}
    if not isinstance(registry, VersionedRegistry):
        await registry.register(definition)
        return outcome
    done = await registry.add(definition, origin="stdin" if file == STDIN else file)
    return outcome | {"version": done.current.version, "new": done.is_new}


def _sentence(outcome: dict[str, Any]) -> str:
    name, version = one_line(outcome["name"]), outcome["version"]
    if version is None:
        return f"{name} is registered"
    return f"{name}: version {version} is registered" if outcome["new"] else f"{name}: unchanged, version {version}"
