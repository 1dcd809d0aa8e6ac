"""Workers that are killed while they record a workspace, and workers elsewhere that continue with it."""

from __future__ import annotations

from pathlib import Path

from holdfast.storage.database import open_database
from holdfast.testing import Reply
from tests.support.lab import eventually
from tests.support.processes import Site
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

MEGABYTES = 8  # of files, whose snapshot takes several writes


async def test_killed_in_the_middle_of_a_snapshot(temporal_address: str, tmp_path: Path) -> None:
    """A worker is killed with -9 while it records a workspace: one elsewhere has what was recorded, and continues."""
    with SurrealServer.find(tmp_path) as surreal:
        async with Site.open(temporal_address, tmp_path) as site:
            server = {"SURREALDB_URL": surreal.url, "SURREALDB_USERNAME": USERNAME, "SURREALDB_PASSWORD": PASSWORD}
            site.environment |= server
            here, elsewhere = ({"HOLDFAST_HOME": str(tmp_path / name)} for name in ("here", "elsewhere"))
            site.server.call_tools(("note", {"number": 1}))
            site.server.call_tools(("store", {"megabytes": MEGABYTES}))
            site.server.call_tools(("check", {"megabytes": MEGABYTES}))
            site.server.say("Stored.")
            database = open_database(surreal.url, username=USERNAME, password=PASSWORD)

            async def is_recording() -> bool:
                [found] = await database.run("SELECT count() AS count FROM file_chunk GROUP ALL")
                return bool(found) and found[0]["count"] > 20

            worker = await site.worker(**here)
            run = await site.holdfast.start("clerk", "Store it.")
            await eventually(is_recording)
            worker.kill()
            second = await site.worker(**elsewhere)
            result = await run.result(120)
            said = [message.content async for message in run.transcript() if message.role == "tool"]
            assert said[1:] == [f"stored {MEGABYTES}", "wrong: []; 2 calls"], "the note, and the second attempt"
            assert result.content == "Stored."
            assert await second.stop() == 0
            site.server.call_tools(("check", {"megabytes": MEGABYTES}))
            site.server.reply(Reply("Checked."))
            await site.worker(**here)
            fork = await run.fork(message="Check it.")
            assert (await fork.result(120)).content == "Checked."
            checked = [message.content async for message in fork.transcript() if message.role == "tool"]
            assert checked[-1] == "wrong: []; 2 calls"
            await database.close()
