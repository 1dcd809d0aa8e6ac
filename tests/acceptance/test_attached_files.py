"""Images, files and data as inputs, where processes are killed and on the command line."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdfast import Image
from holdfast.client.holdfast import Holdfast
from holdfast.storage.persistence import open_persistence
from holdfast.testing import Reply
from tests.support.cli_stack import CliStack
from tests.support.pictures import PDF, png
from tests.support.processes import Site
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

PICTURE = png(150, 150)


@pytest.fixture(params=["embedded", "server"])
async def site(request: pytest.FixtureRequest, temporal_address: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Where the workers of a test run, with each kind of database."""
    async with Site.open(temporal_address, tmp_path) as site:
        if request.param == "embedded":
            yield site
            return
        (tmp_path / "surreal").mkdir()
        with SurrealServer.find(tmp_path / "surreal") as server:
            login = {"SURREALDB_USERNAME": USERNAME, "SURREALDB_PASSWORD": PASSWORD}
            site.environment |= {"SURREALDB_URL": server.url, **login}
            yield site


async def test_kill_during_a_model_call_with_a_picture(site: Site) -> None:
    """The worker that takes over sends the very same request, with the picture from the database."""
    site.server.reply(Reply("This never comes to an end.", hang_after=1))
    site.server.say("A picture.")
    worker = await site.worker()
    url = site.environment["SURREALDB_URL"]
    login: dict[str, Any] = {} if url.startswith("surrealkv") else {"username": USERNAME, "password": PASSWORD}
    persistence = open_persistence(url, namespace="sentient_core", database="agents", shared=True, **login)
    try:
        queue = site.environment["TEMPORAL_TASK_QUEUE"]
        runs = Holdfast(site.client, task_queue=queue, contents=lambda: persistence.contents)
        run = await runs.start("clerk", ["What is this?", Image(PICTURE, name="x.png")], workspace=site.workspace)
        await site.server.wait_for_requests(1)
        worker.kill()
        await site.worker()
        assert (await run.result(60)).content == "A picture."
        assert await run.attachment(1) == PICTURE
    finally:
        await persistence.close()
    first, second = (json.dumps(request.body, sort_keys=True) for request in site.server.requests)
    assert first == second
    assert base64.b64encode(PICTURE).decode() in first


def test_attachments_on_the_command_line(cli: CliStack, tmp_path: Path) -> None:
    """`run --attach` and `send --attach` take files, `show` lists them, and `show --attachment` gives them back."""
    (tmp_path / "x.png").write_bytes(PICTURE)
    (tmp_path / "a.pdf").write_bytes(PDF)
    (tmp_path / "empty.txt").touch()
    attach = ("--attach", str(tmp_path / "x.png"), "--attach", str(tmp_path / "a.pdf"))
    done = cli("run", "assistant", "What is this?", *attach, "--id", "attached-1")
    assert done.code == 0, done.err
    assert "I received an image (image/png, 68 KB), the file a.pdf (application/pdf, 48 B)" in " ".join(
        done.out.split()
    )
    shown = cli("show", "attached-1")
    assert "1  x.png (image/png, 68 KB)" in shown.out
    assert "2  a.pdf (application/pdf, 48 B)" in shown.out
    assert [each["name"] for each in json.loads(cli("show", "attached-1", "--json").out)["attachments"]] == [
        "x.png",
        "a.pdf",
    ]
    assert "[x.png (image/png, 68 KB)]" in cli("transcript", "attached-1").out
    back = cli("show", "attached-1", "--attachment", "1")
    assert back.stdout == PICTURE
    assert "has no attachment 3; it has 2" in cli("show", "attached-1", "--attachment", "3").err
    for wrong, reason in (
        (tmp_path / "nowhere.png", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "empty.txt", "is empty"),
    ):
        refused = cli("run", "assistant", "What?", "--attach", str(wrong))
        assert refused.code == 2
        assert reason in refused.err
    asked = cli("chat", "assistant", "--id", "attached-2", "--message", "This?", "--attach", str(tmp_path / "x.png"))
    assert "I received an image" in asked.out
    assert cli("send", "attached-2", "And this?", "--attach", str(tmp_path / "a.pdf")).code == 0
    assert cli("cancel", "attached-2").code in (0, 130)
