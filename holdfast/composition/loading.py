"""The agents that a worker process loads."""

from __future__ import annotations

from holdfast.agents.catalog import AgentCatalog
from holdfast.settings import Settings
from holdfast.stack.part_locks import started_ns
from holdfast.stack.serving import Serving, serving_file


def load_agents(settings: Settings) -> AgentCatalog:
    """Loads the agents; the worker of the local stack leaves word of what it has loaded.

    Raises:
        AgentDefinitionError: a module with agents cannot be used.
    """
    catalog = AgentCatalog.load(settings.holdfast_agents)
    if file := serving_file(settings):
        Serving.of_this_process(catalog.names(), settings.holdfast_agents, started_ns()).write(file)
    return catalog
