"""Encryption: with a key, files and logs of all servers contain none of a run's content."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle

from holdfast import RunStatus, Settings
from holdfast.client.holdfast import Holdfast
from holdfast.composition.converter import client_converter
from holdfast.composition.persistence import open_configured
from holdfast.composition.reachable import reachable_storage
from holdfast.stack import down, up
from holdfast.storage.encryption import new_key
from holdfast.temporal.connection import connect_temporal
from holdfast.testing import ModelServer, Reply
from tests.support.secret_agents import CANARY
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

pytestmark = pytest.mark.usefixtures("forked_stack")


class Herald(Interceptor):
    """Sends the secret along in a header."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the base's word
        """Puts itself before the rest."""
        return _HeraldOutbound(next)


class _HeraldOutbound(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
        payload = Payload(metadata={"encoding": b"json/plain"}, data=f'"{CANARY}"'.encode())
        input.headers = {**input.headers, "herald": payload}
        return await super().start_workflow(input)


@dataclass(frozen=True)
class Place:
    """Where the mirror is kept."""

    name: str
    on_server: bool


PLACES = [Place("embedded", on_server=False), Place("server", on_server=True)]


@contextmanager
def database(place: Place, folder: Path) -> Iterator[Mapping[str, Any]]:
    """Settings of a database whose files are in `folder`."""
    if not place.on_server:
        yield {"surrealdb_url": f"surrealkv://{folder / 'embedded'}"}
        return
    with SurrealServer.find(folder) as server:
        yield {"surrealdb_url": server.url, "surrealdb_username": USERNAME, "surrealdb_password": PASSWORD}


@asynccontextmanager
async def connected(settings: Settings, address: str) -> AsyncIterator[tuple[Client, Holdfast]]:
    """A client that sends the header along."""
    async with reachable_storage(settings) as storage:
        plain = await connect_temporal(address, converter=client_converter(settings, storage))
        config = plain.config()
        config["interceptors"] = [Herald()]
        client = Client(**config)
        yield client, Holdfast(client, task_queue=settings.temporal_task_queue)


async def live_once(folder: Path, place: Place, key: str | None) -> None:
    """One run with the secret in each of its parts, in a separate stack whose files remain."""
    with database(place, folder) as where:
        async with ModelServer() as server:
            settings = Settings(
                holdfast_home=folder / "home",
                holdfast_agents=("tests.support.secret_agents",),
                holdfast_encryption_key=key,
                openai_api_key="test",
                openai_base_url=server.url,
                log_level="DEBUG",
                **where,
            )
            try:
                stack = await up(settings, print)
                async with connected(settings, stack.address) as (client, runs):
                    await converse(client, runs, server)
                    await assert_readable(settings, runs)
            finally:
                await down(settings, print)


async def converse(client: Client, runs: Holdfast, server: ModelServer) -> None:
    """Three runs: a good one, one that fails, and one that is terminated."""
    made_up = f"ask_{CANARY}"
    server.call_tools(
        ("tell", {"question": CANARY}), ("stumble", {"question": CANARY}), (made_up, {}), text=f"Ask for {CANARY}."
    )
    server.say(f"It is {CANARY}.")
    good = await runs.start("keeper", f"What is {CANARY}?", id="good", tags={"about": CANARY})
    assert (await good.result(60)).content == f"It is {CANARY}."
    described = await client.get_workflow_handle("good").describe()
    assert CANARY in (await described.memo())["input"]
    server.reply(Reply.error(400, f"you said {CANARY}"))
    bad = await runs.start("keeper", f"Again {CANARY}?", id="bad")
    result = await bad.result(60)
    assert result.status == RunStatus.FAILED
    assert CANARY in (result.error or ""), "a client with the key reads the reason"
    server.reply(Reply(text=CANARY, hang_after=1))
    seen = len(server.requests)
    stopped = await runs.start("keeper", f"Wait for {CANARY}.", id="stopped")
    await server.wait_for_requests(seen + 1)
    await stopped.terminate(f"it said {CANARY}")
    assert (await stopped.result(60)).error == f"it said {CANARY}"


async def assert_readable(settings: Settings, runs: Holdfast) -> None:
    """With the key, history and mirror are readable as before."""
    history = [entry async for entry in runs.handle("good").entries()]
    assert sum(CANARY in str(entry.data) for entry in history) >= 5
    if settings.store_url.startswith("ws"):
        persistence = open_configured(settings)
        assert await persistence.store.entries("good") == history
        await persistence.close()


def forms(secret: str) -> set[bytes]:
    """The secret as it may be written: as it is, in UTF-16, in base64 at each of the three offsets, in hex."""
    raw = secret.encode()
    shifted = {base64.b64encode(b"\0" * offset + raw)[4 if offset else 0 : -4] for offset in range(3)}
    return {raw, secret.encode("utf-16-le"), raw.hex().encode(), *shifted}


def files_with(secret: str, folder: Path) -> set[str]:
    """Files in which the secret can be found."""
    wanted = forms(secret)
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if any(form in content for form in wanted):
                found.add(str(path.relative_to(folder)))
    return found


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_a_secret_is_nowhere(place: Place, tmp_path: Path) -> None:
    """With a key, neither the disk nor a backup nor a log contains a run's content in clear text."""
    await live_once(tmp_path, place, new_key())
    assert (tmp_path / "home" / "temporal.db").stat().st_size > 10_000
    assert (tmp_path / "home" / "logs" / "worker.log").stat().st_size > 100
    assert files_with(CANARY, tmp_path) == set()


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_without_a_key_it_is_everywhere(place: Place, tmp_path: Path) -> None:
    """Without a key the search of the test above finds the secret, so that test can fail."""
    await live_once(tmp_path, place, None)
    found = files_with(CANARY, tmp_path)
    assert any(name.startswith("home/temporal.db") for name in found)
    assert "home/logs/worker.log" in found
    assert any(name.startswith(("embedded", "data")) for name in found)
