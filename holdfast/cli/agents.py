"""`agents`: what can be run."""

from __future__ import annotations

from holdfast.agents.catalog import AgentCatalog
from holdfast.cli.options import JsonOption
from holdfast.cli.output import Output
from holdfast.cli.text import columns, cut, duration, one_line
from holdfast.settings import Settings
from holdfast.types import AgentSpec

EXAMPLES = """
    $ agents
    $ agents --json
"""


async def agents(json: JsonOption = False) -> None:
    """Lists the agents that can be run.

    The shipped ones, and those of the modules that HOLDFAST_AGENTS names.
    """
    out = Output(json=json)
    settings = Settings.load()
    specs = [agent.spec() for agent in AgentCatalog.load(settings.holdfast_agents)]
    if json:
        out.document([spec.model_dump(mode="json") for spec in specs])
        return
    for spec in specs:
        _show(out, spec, settings)


def _show(out: Output, spec: AgentSpec, settings: Settings) -> None:
    room = out.width - len("  prompt  ")
    out.say((spec.name, "bold"))
    limit = duration(spec.timeout or settings.agent_execution_timeout)
    tools = [f"{tool.name}{'' if tool.read_only else ' (writes)'}" for tool in spec.tools]
    out.lines(
        columns(
            [
                ("prompt", cut(one_line(spec.system_prompt), room)),
                ("model", spec.model or f"{settings.default_model} (the default)"),
                ("tools", cut(", ".join(tools) or "none", room)),
                ("limits", f"{spec.max_turns} turns, {limit}"),
            ]
        )
    )
