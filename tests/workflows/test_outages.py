"""Waits for a run while the Temporal server is unavailable."""

from __future__ import annotations

import asyncio

import pytest

from holdfast import Agent, Holdfast, TemporalUnavailable
from holdfast.temporal import outages
from holdfast.temporal.connection import connect_temporal
from tests.support.lab import Lab, eventually
from tests.support.proxy import Proxy

talker = Agent(name="talker", system_prompt="You talk.")


async def test_a_wait_outlasts_an_unavailable_server(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """The result of a run is returned although its server was unavailable; a log message says what is waited for."""
    proxy = Proxy(lab.client.service_client.config.target_host)
    far = Holdfast(await connect_temporal(await proxy.start()), task_queue=lab.settings.temporal_task_queue)
    lab.server.hold()
    lab.server.say("Here I am.")
    async with lab.worker(talker):
        run = await far.start("talker", "Are you there?")
        await lab.server.wait_for_requests(1)
        waiting = asyncio.create_task(run.result())
        await asyncio.sleep(0)
        proxy.cut()

        async def is_noticed() -> bool:
            return f"the end of run {run.id!r}" in caplog.text

        await eventually(is_noticed)
        lab.server.release()
        await lab.holdfast.handle(run.id).result()
        assert not waiting.done()
        await proxy.start()
        assert (await waiting).content == "Here I am."
        proxy.cut()


async def test_an_outage_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience is for one outage: an attempt that lasted long had reached the server."""
    now = 0.0
    monkeypatch.setattr(outages, "PAUSE", 0)
    monkeypatch.setattr(outages, "monotonic", lambda: now)

    async def after(attempts: list[float]) -> str:
        async def ask() -> str:
            nonlocal now
            now += attempts.pop(0)
            if attempts:
                raise TemporalUnavailable("gone")
            return "answer"

        return await outages.outlasting(ask, "an answer", patience=60)

    assert await after([5, 25, 25, 3_600, 25, 25, 5]) == "answer"
    with pytest.raises(TemporalUnavailable, match="gone"):
        await after([5, 25, 25, 25, 5])
