"""Encrypted and large payloads in Temporal's UI, in a real browser: users can read them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast import RunHandle, Settings
from holdfast.client.holdfast import Holdfast
from holdfast.composition.converter import client_converter
from holdfast.composition.reachable import reachable_storage
from holdfast.stack import down, ui_url, up
from holdfast.stack.sockets import answers
from holdfast.stack.ui import CODEC_PORT
from holdfast.storage.encryption import new_key
from holdfast.temporal.connection import connect_temporal
from holdfast.testing import ModelServer
from tests.support.cli import STARTER
from tests.support.lab import eventually
from tests.support.temporal_ui import TemporalUi

pytestmark = pytest.mark.usefixtures("forked_stack")


@asynccontextmanager
async def codec(settings: Settings, key: str) -> AsyncIterator[None]:
    """The endpoint, as the command line starts it."""
    process = await asyncio.create_subprocess_exec(
        *STARTER,
        "codec",
        cwd=settings.holdfast_home.parent,
        env=os.environ
        | {
            "HOLDFAST_HOME": str(settings.holdfast_home),
            "HOLDFAST_ENCRYPTION_KEY": key,
            "HOLDFAST_NO_BOOTSTRAP": "1",
        },
    )

    async def listens() -> bool:
        assert process.returncode is None
        return answers(CODEC_PORT)

    try:
        await eventually(listens)
        yield
    finally:
        process.terminate()
        await process.wait()


async def finished(settings: Settings, address: str, server: ModelServer) -> RunHandle:
    """A run with an encrypted small input, and a large answer."""
    server.say("A large answer. " * 20_000)
    async with reachable_storage(settings) as storage:
        client = await connect_temporal(address, converter=client_converter(settings, storage))
        runs = Holdfast(client, task_queue=settings.temporal_task_queue)
        run = await runs.start("keeper", "What is secret?")
        await run.result(60)
        return run


async def test_people_can_read_what_temporal_cannot(tmp_path: Path) -> None:
    """The UI shows ciphertext and references; with the codec endpoint running it shows the texts."""
    if answers(CODEC_PORT):
        pytest.skip(f"port {CODEC_PORT} is taken")
    key = new_key()
    async with ModelServer() as server, TemporalUi.open(tmp_path) as ui:
        settings = Settings(
            holdfast_home=tmp_path / "home",
            holdfast_agents=("tests.support.secret_agents",),
            holdfast_encryption_key=key,
            openai_api_key="test",
            openai_base_url=server.url,
        )
        try:
            stack = await up(settings, print)
            run = await finished(settings, stack.address, server)
            url = ui_url(settings, run.id)
            assert url is not None
            await ui.page.goto(url)
            await ui.shows(run.id, "Completed")
            assert "secret?" not in await ui.page.locator("body").inner_text()
            async with codec(settings, key):
                await ui.page.goto(url)
                await ui.shows("What is secret?", "A large answer. A large answer.")
        finally:
            await down(settings, print)
