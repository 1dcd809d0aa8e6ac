"""`agents unregister`: removes an agent from the registry."""

from __future__ import annotations

from holdfast.cli.options import AgentNameArgument, JsonOption
from holdfast.cli.registry import opened_registry, unknown
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import one_line
from holdfast.errors import UsageError
from holdfast.ports.registry import UnregisteringRegistry
from holdfast.settings import Settings

EXAMPLES = """
    $ agents unregister guide
"""


async def unregister(name: AgentNameArgument, json: JsonOption = False) -> None:
    """Removes an agent from the registry.

    Runs that have begun continue. The agent's versions are kept: `agents history`
    lists them, and if it is registered again, it gets the next version.
    """
    out = Output(json=json)
    async with opened_registry(Settings.load(), writes=True) as registry:
        if not isinstance(registry, UnregisteringRegistry):
            raise UsageError(f"the registry {type(registry).__name__} cannot unregister agents: it has no `unregister`")
        if not await registry.unregister(name):
            raise await unknown(name, registry)
    if json:
        out.document({"name": name, "unregistered": True})
    else:
        out.say(f"{one_line(name)} is unregistered")
