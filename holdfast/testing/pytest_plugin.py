"""The pytest plugin: fixtures for tests of agents.

pytest loads this module in every project of an environment that has Holdfast, so it imports nothing until a fixture is
used. All fixtures are synchronous: they serve plain tests, and those of pytest-asyncio and anyio alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.client.holdfast import Holdfast
    from holdfast.scripted.cassette import Cassette
    from holdfast.testing.agent_server import AgentServer
    from holdfast.testing.bench import Bench
    from holdfast.testing.calls import Called
    from holdfast.testing.killed_worker import Moment
    from holdfast.testing.model_server import ModelServer
    from holdfast.testing.session_stack import SessionStack


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionStack]:
    """A local Temporal server with temporary state, shared by the whole session and its pytest-xdist workers."""
    from holdfast.testing.session_stack import session_stack

    base = tmp_path_factory.getbasetemp()
    home = (base.parent if hasattr(request.config, "workerinput") else base) / "holdfast"
    with session_stack(home, partial(_show, request.config)) as running:
        yield running


def _show(config: pytest.Config, line: str) -> None:
    """Shows a line at once, although pytest captures output."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        print(f"holdfast: {line}", file=sys.stderr, flush=True)


@pytest.fixture
def _holdfast_bench(tmp_path: Path) -> Iterator[Bench]:
    from holdfast.testing.bench import open_bench

    with open_bench(tmp_path / "holdfast") as bench:
        yield bench


@pytest.fixture
def model(_holdfast_bench: Bench) -> ModelServer:
    """The model of the test's agents, a real HTTP server that says what the test tells it to."""
    return _holdfast_bench.model


@pytest.fixture
def hf(_holdfast_bench: Bench, stack: SessionStack) -> Holdfast:
    """A client that starts and finds the test's runs."""
    return _holdfast_bench.connected(stack)


@pytest.fixture
def serve(_holdfast_bench: Bench, stack: SessionStack) -> AgentServer:
    """A function that serves agents in this process until the end of the test: `serve(clerk, librarian)`."""
    return _holdfast_bench.server(stack)


@pytest.fixture
def called(serve: AgentServer) -> Called:
    """An assertion: `called("order", article="rope")` fails if no run of the test has called the tool like this."""
    from holdfast.testing.calls import Called

    return Called(serve.calls)


@pytest.fixture
def kill_at(serve: AgentServer) -> Iterator[Callable[[str, Moment], None]]:
    """A function that kills the worker once and starts another: `kill_at("tool.order", "before"|"during"|"after")`."""
    yield serve.kill_at
    serve.assert_killed()


@pytest.fixture
def cassette(request: pytest.FixtureRequest, _holdfast_bench: Bench) -> Iterator[Callable[..., Cassette]]:
    """A function that lets recorded calls answer: `cassette("clerk.jsonl")`, beside the file of the test."""
    yield partial(_holdfast_bench.play, request.path.parent)
    if misses := _holdfast_bench.misses:
        pytest.fail("\n\n".join(misses), pytrace=False)
