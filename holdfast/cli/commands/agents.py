"""`agents`: what can be run; `agents unregister` takes one off the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from holdfast.agents.catalog import AgentCatalog
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.registry import opened_registry, unknown
from holdfast.cli.render.output import Output
from holdfast.cli.render.table import show_table
from holdfast.cli.render.text import one_line
from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError, StoreUnavailable
from holdfast.settings import Settings
from holdfast.storage.registry import RegistryProtocol, definition_of
from holdfast.types import AgentSpec

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The agent's name, as `agents` shows it.", show_default=False)
]

EXAMPLES = """
    $ agents
    $ agents register guide.toml
"""
LIST_EXAMPLES = """
    $ agents list
    $ agents list --json | jq -r .[].name
"""


@dataclass(frozen=True)
class Listed:
    """A line of the list."""

    name: str
    place: str
    """`code` or `registry`."""
    definition: AgentDefinition | None
    """None: it cannot be read."""
    spec: AgentSpec | None = None
    """Of an agent in the code."""
    fault: str = ""
    """Why it cannot be run like this."""

    def row(self, settings: Settings) -> list[str]:
        """The cells of its line."""
        if self.definition is None:
            return [one_line(self.name), self.place, "?", "?", self.fault]
        version = "" if self.definition.version is None else str(self.definition.version)
        model = self.definition.model or f"{settings.default_model} (default)"
        says = self.definition.description or ", ".join(self.definition.tools) or "no tools"
        return [one_line(self.name), self.place, version, one_line(model), one_line(self.fault or says)]

    def document(self) -> dict[str, Any]:
        """The line as plain values; `tools` of an agent in the code are whole, of a registered one names."""
        shown = self.spec or self.definition
        fields = {"name": self.name, "version": None} if shown is None else shown.model_dump(mode="json")
        return {**fields, "from": self.place, "fault": self.fault or None}


async def agents(context: typer.Context, json: JsonOption = False) -> ExitCode:  # noqa: ARG001 - typer's
    """Lists the agents that can be run, and keeps the registry.

    Without a command it is `agents list`.
    """
    return await list_agents(json=json)


async def list_agents(json: JsonOption = False) -> ExitCode:
    """Lists the agents that can be run.

    From the code: the shipped ones, and those of the modules that HOLDFAST_AGENTS
    names. From the registry: those that were registered; where a name is in both,
    the one in the code is run.
    """
    out = Output(json=json)
    settings = Settings.load()
    catalog = AgentCatalog.load(settings.holdfast_agents)
    agents = [Listed(agent.name, "code", definition_of(agent), agent.spec()) for agent in catalog]
    code = ExitCode.OK
    try:
        async with opened_registry(settings) as registry:
            agents += [await _registered(registry, name, catalog) for name in await registry.list_agents()]
    except StoreUnavailable as error:
        out.warn(f"the registry is away, so its agents are not listed: {error}")
        code = ExitCode.UNAVAILABLE
    if json:
        out.document([agent.document() for agent in agents])
    else:
        show_table(out, ("NAME", "FROM", "VERSION", "MODEL", "WHAT"), [agent.row(settings) for agent in agents])
    return code


async def _registered(registry: RegistryProtocol, name: str, catalog: AgentCatalog) -> Listed:
    fault = "hidden by the one in the code" if name in catalog else ""
    try:
        found = await registry.get_agent(name)
        return Listed(name, "registry", None if found is None else definition_of(found), fault=fault)
    except AgentDefinitionError as error:
        return Listed(name, "registry", None, fault=str(error))


UNREGISTER_EXAMPLES = """
    $ agents unregister guide
"""


async def unregister(name: NameArgument, json: JsonOption = False) -> None:
    """Takes an agent out of the registry.

    Runs that have begun go on. Its versions are kept: `agents history` lists them,
    and when it is registered again, counting goes on.
    """
    out = Output(json=json)
    async with opened_registry(Settings.load(), writes=True) as registry:
        if not await registry.unregister(name):
            raise unknown(name)
    if json:
        out.document({"name": name, "unregistered": True})
    else:
        out.say(f"{one_line(name)} is unregistered")
