"""An environment for tests of agents: a Temporal server, a worker and a model server for one test."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from holdfast import stack
from holdfast.agent_result import AgentResult
from holdfast.agents.agent import Agent
from holdfast.agents.catalog import AgentCatalog
from holdfast.client.holdfast import Holdfast
from holdfast.composition.client import open_client
from holdfast.composition.persistence import open_configured
from holdfast.composition.worker import build_worker
from holdfast.models import open_model
from holdfast.settings import Settings
from holdfast.stack.progress import say_nothing
from holdfast.testing.model_server import ModelServer


@dataclass(frozen=True)
class AgentEnvironment:
    """The client and the model server of `serve_agents`."""

    holdfast: Holdfast
    """Starts runs of the agents, and lists them."""
    model: ModelServer
    """Answers the agents' model calls as the test decides."""

    async def run(self, agent: Agent, text: str, **options: Any) -> AgentResult:
        """Runs one of the agents and returns its result; `options` are those of `Holdfast.start`."""
        return await self.holdfast.run(agent.name, text, **options)


@asynccontextmanager
async def serve_agents(*agents: Agent) -> AsyncIterator[AgentEnvironment]:
    """Serves agents in this process, and stops everything at the end.

    Everything except the model is real: the test has its own Temporal server, which starts in about a second, and the
    worker serves the agents as in production. `.env` and the variables for servers, stores and models have no effect.

        async with serve_agents(clerk) as environment:
            environment.model.call_tools(("stock", {"article": "rope"}))
            environment.model.say("There are 12 ropes.")
            result = await environment.run(clerk, "How many ropes are there?")

    Args:
        agents: the agents that the test runs.

    Raises:
        TemporalUnavailable: no Temporal server is installed, and none could be downloaded.
    """
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-test-", ignore_cleanup_errors=True) as folder,
        ModelServer() as server,
    ):
        settings = _settings(Path(folder), server)
        try:
            local = await stack.up(settings, say_nothing, worker=False)
            async with open_client(settings, local.address) as client, _worker(client, settings, agents):
                yield AgentEnvironment(client, server)
        finally:
            await stack.down(settings, say_nothing)


def _settings(folder: Path, server: ModelServer) -> Settings:
    return Settings(
        _env_file=None,
        holdfast_home=folder,
        holdfast_encryption_key=None,
        workspace_roots=("/",),  # whoever runs the test chooses the folders
        temporal_address=None,
        temporal_namespace="default",
        temporal_task_queue="holdfast",
        state_persistence_backend="memory",
        event_bus_backend="memory",
        openai_api_key=SecretStr("test"),
        openai_base_url=server.url,
        openai_model="test",
        model_providers=None,
        model_provider_keys=None,
        model_calls_per_second=None,
        embedding_model=None,
    )


@asynccontextmanager
async def _worker(client: Holdfast, settings: Settings, agents: tuple[Agent, ...]) -> AsyncIterator[None]:
    persistence = open_configured(settings)
    model = open_model(
        openai_api_key="test",
        openai_base_url=settings.openai_base_url,
        openrouter_api_key=None,
        default_model=settings.default_model,
    )
    catalog = AgentCatalog(agents, shipped=True)
    worker = build_worker(client.temporal, settings, catalog=catalog, model=model, persistence=persistence)
    try:
        async with worker:
            yield
    finally:
        await persistence.close()
        await model.close()
