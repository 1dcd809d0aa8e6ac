"""`agents list`: the agents that can be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.conversion import definition_of
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.registry import opened_registry
from holdfast.cli.render.output import Output
from holdfast.cli.render.table import Column, show_table
from holdfast.cli.render.text import one_line
from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError, StoreUnavailable
from holdfast.settings import Settings
from holdfast.types import AgentSpec, model_names

if TYPE_CHECKING:
    from holdfast.storage.registry import RegistryProtocol

EXAMPLES = """
    $ agents
    $ agents list
    $ agents list --json | jq -r .[].name
"""


@dataclass(frozen=True)
class Listed:
    """An agent of the list."""

    name: str
    origin: str
    """`code` or `registry`."""
    definition: AgentDefinition | None
    """`None` means that it cannot be read."""
    spec: AgentSpec | None = None
    """Of an agent in the code."""
    fault: str = ""
    """Why it cannot be run as it is."""

    @property
    def version(self) -> str:
        """Its version in the registry, if it has one."""
        if self.definition is None:
            return "?"
        return "" if self.definition.version is None else str(self.definition.version)

    def model(self, default: str) -> str:
        """The model that answers it, given the default one."""
        if self.definition is None:
            return "?"
        return one_line(", ".join(model_names(self.definition.model)) or f"{default} (default)")

    @property
    def description(self) -> str:
        """Its fault, else its own description, else its tools."""
        if self.fault or self.definition is None:
            return one_line(self.fault)
        return one_line(self.definition.description or ", ".join(self.definition.tools) or "no tools")

    def document(self) -> dict[str, Any]:
        """The agent as plain values; `tools` of an agent in the code are complete, of a registered one names."""
        shown = self.spec or self.definition
        fields = {"name": self.name, "version": None} if shown is None else shown.model_dump(mode="json")
        return {**fields, "from": self.origin, "fault": self.fault or None}


async def list_(json: JsonOption = False) -> ExitCode:
    """Lists the agents that can be run.

    `agents` alone does the same. Agents come from the code (the shipped ones, and those of the modules that
    HOLDFAST_AGENTS names) and from the registry. If both have an agent of the
    same name, the one in the code is run.
    """
    out = Output(json=json)
    settings = Settings.load()
    catalog = AgentCatalog.load(settings.holdfast_agents)
    agents = [Listed(agent.name, "code", definition_of(agent, without_code=True), agent.spec()) for agent in catalog]
    code = ExitCode.OK
    try:
        async with opened_registry(settings) as registry:
            agents += [await _registered(registry, name, catalog) for name in await registry.list_agents()]
    except StoreUnavailable as error:
        out.warn(f"the registry is unavailable, so its agents are not listed: {error}")
        code = ExitCode.UNAVAILABLE
    if json:
        out.document([agent.document() for agent in agents])
    else:
        _show(out, agents, settings)
    return code


async def _registered(registry: RegistryProtocol, name: str, catalog: AgentCatalog) -> Listed:
    fault = "hidden by the agent of this name in the code" if name in catalog else ""
    try:
        found = await registry.get_agent(name)
        return Listed(name, "registry", None if found is None else definition_of(found), fault=fault)
    except AgentDefinitionError as error:
        return Listed(name, "registry", None, fault=str(error))


def _show(out: Output, agents: Sequence[Listed], settings: Settings) -> None:
    columns = [
        Column("NAME", [one_line(agent.name) for agent in agents], "bold"),
        Column("FROM", [agent.origin for agent in agents], is_whole=True),
        Column("VERSION", [agent.version for agent in agents], is_number=True, is_whole=True),
        Column("MODEL", [agent.model(settings.default_model) for agent in agents]),
        Column("DESCRIPTION", [agent.description for agent in agents]),
    ]
    show_table(out, columns)
