"""The bench: what the fixtures of one test share."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from pydantic import SecretStr

from holdfast.client.holdfast import Holdfast
from holdfast.composition.own_agents import close_own_agents
from holdfast.composition.persistence import close_shared_persistence, shared_embedder
from holdfast.models.outside import refused_outside
from holdfast.scripted.cassette import Cassette as Cassette  # noqa: PLC0414 - exported
from holdfast.settings import Settings
from holdfast.testing.agent_server import AgentServer
from holdfast.testing.model_server import ModelServer
from holdfast.testing.session_stack import SessionStack
from holdfast.tools.mcp.servers import close_servers

MODEL = "test"  # the model of agents that name none


class Bench:
    """The model server, the settings and the worker of a test.

    Attributes:
        model: answers the model calls.
        settings: what the test's worker and clients use; the environment has the same values.
    """

    def __init__(self, model: ModelServer, home: Path) -> None:
        self.model = model
        self.settings = _settings(home, model)
        self._exits = ExitStack()
        self._played: list[Cassette] = []
        self._connected: Holdfast | None = None
        self._server: AgentServer | None = None

    def connected(self, stack: SessionStack) -> Holdfast:
        """Returns a client of the session's Temporal server, with a task queue of the test's own."""
        if self._connected is None:
            own = {"temporal_address": stack.address, "temporal_task_queue": f"test-{uuid.uuid4().hex[:12]}"}
            self.settings = self.settings.model_copy(update=own)
            self._exits.enter_context(_environment(self.settings))
            queue = self.settings.temporal_task_queue
            self._connected = Holdfast(stack.client, task_queue=queue, embedder=shared_embedder)
        return self._connected

    def server(self, stack: SessionStack) -> AgentServer:
        """Returns what serves the test's agents."""
        if self._server is None:
            self.connected(stack)
            self._server = self._exits.enter_context(AgentServer(stack, self.settings))
        return self._server

    def play(self, folder: Path, *paths: str | Path, ignore: Iterable[str] = ()) -> Cassette:
        """Lets the recorded calls of cassettes answer what is not scripted.

        Args:
            folder: which the paths are relative to.
            paths: the files.
            ignore: regular expressions; what they match in texts may differ from what was recorded.

        Raises:
            UsageError: a file cannot be read, or is not a cassette.
        """
        cassette = Cassette.load(*(folder / path for path in paths), default_model=MODEL, ignore=ignore)
        self._played.append(cassette)
        self.model.respond = cassette.respond
        return cassette

    @property
    def misses(self) -> list[str]:
        """What was asked of cassettes, but not recorded."""
        return [miss for cassette in self._played for miss in cassette.misses]

    def close(self) -> None:
        """Stops the worker, forgets what the process has made from the settings, and restores the environment."""
        _forget()
        self._exits.close()


@contextmanager
def open_bench(folder: Path) -> Iterator[Bench]:
    """Starts a model server; agents can reach no other model, and no setting of the environment has an effect.

    What code before the test has made from other settings, as by running an agent, is closed.

    Args:
        folder: for files of the test's runs.
    """
    _forget()
    with ModelServer(strict=True) as model, refused_outside(), _environment():
        bench = Bench(model, folder)
        with _environment(bench.settings):
            try:
                yield bench
            finally:
                bench.close()


def _forget() -> None:
    """Closes what the process has made from the settings; the next use reads them again."""
    close_own_agents()
    close_servers()
    with ThreadPoolExecutor(1) as thread:  # the test's thread may have an event loop
        thread.submit(asyncio.run, close_shared_persistence()).result()


def _settings(home: Path, model: ModelServer) -> Settings:
    return Settings(
        _env_file=None,
        holdfast_home=home,
        holdfast_allow_model_requests=False,
        holdfast_agents=(),
        holdfast_encryption_key=None,
        workspace_roots=("/",),  # whoever runs the test chooses the folders
        agent_registry=None,
        temporal_address=None,
        temporal_namespace="default",
        temporal_task_queue="holdfast",
        state_persistence_backend="memory",
        event_bus_backend="memory",
        surrealdb_url=None,
        openai_api_key=SecretStr("test"),
        openai_base_url=model.url,
        openai_model=MODEL,
        openrouter_api_key=None,
        model_providers=None,
        model_provider_keys=None,
        model_calls_per_second=None,
        embedding_model=None,
        embedding_base_url=None,
        embedding_api_key=None,
        worker_deployment=None,
        worker_build_id=None,
    )


@contextmanager
def _environment(settings: Settings | None = None) -> Iterator[None]:
    """Sets the variables of these settings, for code that reads them, as `holdfast.connect`, and removes all others."""
    names = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in names}
    with patch.dict(os.environ, kept | (_variables(settings) if settings else {}), clear=True):
        yield


def _variables(settings: Settings) -> dict[str, str]:
    given = {name: value for name, value in settings if name in settings.model_fields_set and value not in (None, ())}
    return {name.upper(): _text(value) for name, value in given.items()}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
