"""Agents that bring a client of the package openai for their model calls."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from holdfast import Agent, RunHandle, RunStatus, TextDelta, Usage
from holdfast.agents.own_code import spec_of
from holdfast.composition.code_worker import CodeWorker
from holdfast.errors import AgentDefinitionError, ModelRefused
from holdfast.models.outside import refused_outside
from holdfast.models.own_client import OwnClient
from holdfast.storage.persistence import Persistence
from holdfast.testing import ModelServer, Reply
from tests.support.lab import Lab, eventually

WORDS = " ".join(f"word{number}" for number in range(60))
KEY = "sk-own-0123456789"
USAGE = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
KINDS = pytest.mark.parametrize("kind", [openai.AsyncOpenAI, openai.OpenAI])


@pytest.fixture
async def provider() -> AsyncIterator[ModelServer]:
    """The server that the agents' clients are for; the worker's own model is another one."""
    async with ModelServer() as server:
        yield server


@asynccontextmanager
async def owner(kind: Any, provider: ModelServer) -> AsyncIterator[Agent]:
    """An agent with a client, which is closed afterwards."""
    client = kind(api_key=KEY, base_url=provider.url, timeout=30, max_retries=5, default_headers={"X-Shop": "ropes"})
    yield Agent(name="own", model="gpt-5-mini", client=client)
    closed = client.close()
    if inspect.isawaitable(closed):
        await closed


@asynccontextmanager
async def process(lab: Lab, agent: Agent) -> AsyncIterator[None]:
    """The process of a script that has the code of an agent."""
    kept = Persistence(database=None, store=lab.store, bus=lab.bus, ledger=None)
    worker = CodeWorker(lab.client, lab.settings, kept, agent)
    worker.use(asyncio.get_running_loop())
    await worker.start()
    yield
    await worker.stop()


@KINDS
async def test_own_client_makes_the_calls(lab: Lab, provider: ModelServer, kind: Any) -> None:
    """The agent's client is asked, not the worker's model; usage, price, retries and streamed text are as for that."""
    provider.reply(Reply.error(503, headers={"Retry-After": "0"}))
    provider.say(WORDS, usage=USAGE, piece_delay=0.1)
    async with owner(kind, provider) as agent, lab.worker(agent):
        handle = await lab.holdfast.start(agent, "Hello!")
        pieces = [event.text async for event in handle.events() if isinstance(event, TextDelta)]
        result = await handle.result()
        await lab.assert_mirrored(result.run_id)
    assert result.content == WORDS
    assert len(pieces) >= 2
    assert WORDS.startswith("".join(pieces))
    assert result.usage.cost_usd == pytest.approx(2.25), "the price of gpt-5-mini"
    assert [request.headers.get("x-shop") for request in provider.requests] == ["ropes"] * 2, "as it is configured"
    assert lab.server.requests == []
    entry = (await lab.store.entries(result.run_id, limit=1))[0]
    assert entry.data["agent"]["client"] == provider.url.split("/")[2]
    assert KEY not in entry.model_dump_json()


@KINDS
async def test_own_client_is_cancelled(lab: Lab, provider: ModelServer, kind: Any) -> None:
    """A cancel closes the stream at once, and keeps the text that had arrived."""
    provider.reply(Reply(WORDS, hang_after=3))
    async with owner(kind, provider) as agent, lab.worker(agent):
        handle = await lab.holdfast.start(agent, "Count.")
        await eventually(lambda: has_text(handle))
        started = time.monotonic()
        await handle.cancel()
        result = await handle.result()
    assert result.status == RunStatus.CANCELLED
    assert result.run.output.startswith("word0 word1")
    assert await provider.wait_disconnected(0) - started < 20


async def has_text(handle: RunHandle) -> bool:
    """Whether the reply has begun."""
    async for event in handle.events():
        if isinstance(event, TextDelta):
            return True
    return False


async def test_a_run_waits_for_the_process_with_the_client(lab: Lab, provider: ModelServer) -> None:
    """A script's client is used by the script; while that is away, the run waits and says for what."""
    provider.say("One.")
    provider.say("Two.")
    async with owner(openai.AsyncOpenAI, provider) as agent, lab.worker(max_cached_workflows=100):
        async with process(lab, agent):
            session = lab.holdfast.session("own-session", spec_of(agent))
            assert (await session.ask("Count.")).content == "One."
        await session.send("Go on.")

        async def waits() -> bool:
            progress = await session.run.status()
            return (progress.status, progress.doing) == (RunStatus.WAITING, "waiting for the process that serves own")

        await eventually(waits)
        async with process(lab, agent):
            await eventually(lambda: said(session.run, "Two."))
        await session.send("And now?")
        await eventually(waits)
        await session.run.cancel()
        assert (await session.run.result()).status == RunStatus.CANCELLED
    assert (len(provider.requests), lab.server.requests) == (2, [])


async def said(handle: RunHandle, text: str) -> bool:
    """Whether the run has given this answer."""
    return (await handle.status()).output == text


async def test_errors_of_own_clients(lab: Lab, provider: ModelServer) -> None:
    """A refusal names the client's key, and not its value; other machines are refused if none may be asked."""
    provider.reply(Reply.error(401, f"wrong key {KEY}"))
    async with owner(openai.OpenAI, provider) as agent, lab.worker(agent):
        result = await lab.holdfast.run(agent, "Hello!")
    assert "check the api_key of the agent's client" in (result.error or "")
    assert KEY not in (result.error or "")
    async with openai.AsyncOpenAI(api_key=KEY) as client:
        with refused_outside(), pytest.raises(ModelRefused, match=r"allows no request to api\.openai\.com"):
            await OwnClient(client).open(b"{}", "gpt-5-mini")


async def test_a_handoff_changes_who_is_asked(lab: Lab, provider: ModelServer) -> None:
    """Of agents that hand off to each other, each is answered by its own client, or by the worker's model."""
    lab.server.call_tools(("transfer_to_own", {}))
    provider.say("Hello from my own.")
    async with owner(openai.AsyncOpenAI, provider) as own:
        triage = Agent(name="triage", handoffs=[own])
        async with lab.worker(triage):
            result = await lab.holdfast.run(triage, "Hello!")
    assert (result.content, len(lab.server.requests), len(provider.requests)) == ("Hello from my own.", 1, 1)


async def test_azure_clients(provider: ModelServer) -> None:
    """In Azure, the model of a request is a part of its address, unless the client names the deployment."""
    for deployment, path in ((None, "/openai/deployments/gpt-5/chat"), ("d", "/openai/deployments/d/chat")):
        client = openai.AsyncAzureOpenAI(
            api_key=KEY,
            api_version="2024-10-21",
            azure_endpoint=provider.url.removesuffix("/v1"),
            azure_deployment=deployment,
        )
        async with client:
            with pytest.raises(openai.NotFoundError) as caught:
                await OwnClient(client).open(b"{}", "gpt-5")
        assert path in str(caught.value.request.url)


def test_what_is_no_client_is_refused() -> None:
    """Only clients of the package openai are accepted."""
    for wrong in ("https://example.org", openai.AsyncOpenAI, object()):
        with pytest.raises(AgentDefinitionError, match="pass an instance of AsyncOpenAI or OpenAI"):
            Agent(name="a", client=wrong)
