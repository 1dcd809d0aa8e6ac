"""Crashes of servers: after `kill -9` of Temporal or the database, runs resume, and finished calls are not repeated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast import RunHandle, Settings
from holdfast.stack import Part, down, kill, up
from holdfast.stack.state import StackState, StateFile
from holdfast.storage.mirror import open_store
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from holdfast.workflows.options import HEARTBEAT_TIMEOUT
from tests.support.crash_agents import open_gate, ran
from tests.support.lab import eventually, replayed_entries
from tests.support.processes import Site, assert_equal
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer, free_port

OUTAGE = HEARTBEAT_TIMEOUT.total_seconds() + 0.5  # seconds: long enough for the server to think its worker dead
TURNS = 6


@dataclass
class TemporalServer:
    """A Temporal server of the test's own, which it may kill."""

    settings: Settings
    part: Part

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator[TemporalServer]:
        """Starts one on ports that no other test's server has."""
        home = folder / "home"
        home.mkdir()
        StateFile(home).write(StackState(ports={"temporal": free_port(), "ui": free_port(), "model": free_port()}))
        settings = Settings(holdfast_home=home, openai_base_url="http://unused")
        server = cls(settings, await _start(settings))
        try:
            yield server
        finally:
            await down(settings, print)

    @property
    def address(self) -> str:
        """host:port."""
        assert self.part.address is not None
        return self.part.address

    async def kill(self) -> None:
        """Ends it as a crash would."""
        await kill(self.part)

    async def start_again(self) -> None:
        """Starts it on its ports and its database."""
        address = self.address
        self.part = await _start(self.settings)
        assert self.address == address


async def _start(settings: Settings) -> Part:
    stack = await up(settings, print, worker=False)
    assert stack.temporal is not None
    return stack.temporal


@pytest.fixture
async def temporal(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    """A Temporal server to kill."""
    async with TemporalServer.open(tmp_path) as temporal:
        yield temporal


@pytest.fixture
def surreal(tmp_path: Path) -> Iterator[SurrealServer]:
    """A SurrealDB server to kill, not started yet."""
    folder = tmp_path / "surreal"
    folder.mkdir()
    server = SurrealServer.find(folder)
    yield server
    server.kill()


def environment(surreal: SurrealServer) -> dict[str, str]:
    """What makes a worker keep its mirror there."""
    return {"SURREALDB_URL": surreal.url, "SURREALDB_USERNAME": USERNAME, "SURREALDB_PASSWORD": PASSWORD}


def pay_or_talk(request: ChatRequest) -> Reply:
    """A model that answers immediately, but calls tools first if it is asked to pay."""
    if request.messages[-1]["content"] == "Pay.":
        return Reply(tool_calls=[ChatToolCall("pay", {"amount": 5}), ChatToolCall("read_slowly", {})])
    return Reply(f"It was: {request.messages[1]['content']}")


async def test_kill_temporal_with_calls_in_flight(temporal: TemporalServer, tmp_path: Path) -> None:
    """Calls that end while Temporal is down are reported later, and are neither paid for nor carried out twice."""
    async with Site.open(temporal.address, tmp_path) as site:
        site.server.respond = pay_or_talk
        worker = await site.worker(LOG_FORMAT="json")
        paying = await site.start("Pay.")

        async def tools_run() -> bool:
            return ran(site.workspace) == {"pay 5": 1, "read_slowly": 1}

        await eventually(tools_run)
        site.server.hold()
        talking = await site.start("Talk.")
        await site.server.wait_for_requests(2)
        await temporal.kill()
        open_gate(site.workspace)
        site.server.release()
        await asyncio.sleep(OUTAGE)
        assert [request.messages[-1]["content"] for request in site.answered] == ["Pay.", "Talk."]
        await temporal.start_again()
        assert (await talking.result(60)).content == "It was: Talk."
        assert (await paying.result(60)).content == "It was: Pay."
        assert len(site.server.requests) == 3
        assert ran(site.workspace) == {"pay 5": 1, "read_slowly": 1}
        told = [message["content"] for message in site.server.requests[2].messages if message["role"] == "tool"]
        assert sorted(told) == ["paid 5", "read to the end"]
        await site.assert_mirrored(worker, paying, talking)
        complaints = [json.loads(line)["event"] for line in worker.output.splitlines()]
        assert any("tcp connect error" in event for event in complaints), "the log is JSON, Temporal's core included"


async def test_database_unavailable_for_the_whole_run(
    temporal_address: str, tmp_path: Path, surreal: SurrealServer
) -> None:
    """A run completes without the database; the mirror catches up when it returns."""
    async with Site.open(temporal_address, tmp_path) as site:
        site.server.respond = count_to(TURNS)
        await site.worker(**environment(surreal))
        run = await site.start("Count.")
        result = await run.result(60)
        assert (result.content, result.metadata["turns"]) == ("counted", TURNS)
        assert len(site.server.requests) == TURNS
        await asyncio.to_thread(surreal.start)
        await assert_catches_up(site, surreal, run)


async def test_kill_the_database(temporal_address: str, tmp_path: Path, surreal: SurrealServer) -> None:
    """A killed database keeps what it had acknowledged and receives the rest; the run is unaffected."""
    async with Site.open(temporal_address, tmp_path) as site:

        def kill_in_the_middle(request: ChatRequest) -> Reply:
            if len(site.server.requests) == TURNS // 2:
                surreal.kill()
            if len(site.server.requests) == TURNS - 1:
                site.server.hold()
            return count_to(TURNS)(request)

        site.server.respond = kill_in_the_middle
        await asyncio.to_thread(surreal.start)
        await site.worker(**environment(surreal))
        run = await site.start("Count.")
        await site.server.wait_for_requests(TURNS)
        await asyncio.to_thread(surreal.start)
        site.server.release()
        assert (await run.result(60)).content == "counted"
        assert len(site.server.requests) == TURNS
        assert set(ran(site.workspace).values()) == {1}
        await assert_catches_up(site, surreal, run)


def count_to(turns: int) -> Callable[[ChatRequest], Reply]:
    """A model that notes numbers, one a turn, and answers in its last."""

    def respond(request: ChatRequest) -> Reply:
        turn = 1 + sum(message["role"] == "assistant" for message in request.messages)
        return Reply("counted") if turn == turns else Reply(tool_calls=[ChatToolCall("note", {"number": turn})])

    return respond


async def assert_catches_up(site: Site, surreal: SurrealServer, run: RunHandle) -> None:
    """Holds the database against the history, once the worker has nothing left to send."""
    truth = await replayed_entries(site.client, run.id)
    await site.mirror_catches_up(run)
    store = open_store(surreal.url, username=USERNAME, password=PASSWORD)
    try:
        await assert_equal(store, run, truth)
    finally:
        await store.close()
