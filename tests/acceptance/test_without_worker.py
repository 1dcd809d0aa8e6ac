"""Commands that read a run while no worker runs."""

from __future__ import annotations

import time

from tests.support.cli import CommandLine
from tests.support.processes import Site

SOON = 20.0  # seconds for a command on a busy machine; one that waits for a worker takes 35
UNPOLLED = "a-queue-without-workers"


async def test_a_run_is_shown_from_history(site: Site) -> None:
    """`show`, `transcript` and `export` soon say what history has of a run whose worker was killed."""
    site.server.call_tools(("note", {"number": 1}), text="I take a note.")
    worker = await site.worker()
    run = await site.start("Note 1.")
    await site.server.wait_for_requests(1)
    site.server.hold()
    await site.server.wait_for_requests(2)
    worker.kill()
    cli = CommandLine(settings=site.environment)
    began = time.monotonic()
    shown = await cli.run("show", run.id)
    assert time.monotonic() - began < SOON
    assert shown.code == 0, shown.err
    assert "running · as of its history, as no worker answered" in shown.out
    assert "→ note(number=1)" in shown.out
    assert "cannot be read: no worker answers" in shown.err
    transcript = await cli.run("transcript", run.id, "--json", changes={"TEMPORAL_TASK_QUEUE": UNPOLLED})
    assert [message["content"] for message in transcript.json][1:3] == ["Note 1.", "I take a note."]
    assert f"no worker polls task queue '{UNPOLLED}'" in transcript.err
    exported = await cli.run("export", run.id, "--from-history", changes={"TEMPORAL_TASK_QUEUE": UNPOLLED})
    assert exported.code == 0, exported.err
    assert "I take a note." in exported.out
