"""The `doctor` command, and the worker's reconciler of runs that were terminated from outside."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from surrealdb import RecordID

from holdfast import RunHandle
from holdfast.cli.storage import opened_persistence
from holdfast.settings import Settings
from holdfast.storage.persistence import Persistence
from tests.support.cli import ROOT, STARTER
from tests.support.lab import eventually
from tests.support.processes import Site

INTERVAL = 1.0  # seconds between two looks of the worker
SLACK = 5.0  # seconds for the look itself, on a machine that is busy with other tests


@pytest.fixture
async def site(temporal_address: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Where the worker runs."""
    async with Site.open(temporal_address, tmp_path) as site:
        site.environment |= {"RECONCILE_INTERVAL": str(INTERVAL), "HOLDFAST_NO_BOOTSTRAP": "1"}
        yield site


def mirror(site: Site) -> AbstractAsyncContextManager[Persistence]:
    """The worker's database, through the worker, which must run."""
    home = Path(site.environment["HOLDFAST_HOME"])
    return opened_persistence(Settings(holdfast_home=home, surrealdb_url=site.environment["SURREALDB_URL"]))


@dataclass
class Said:
    """A command that has ended."""

    code: int
    text: str

    @property
    def json(self) -> Any:
        """The document among what it wrote."""
        return json.loads(self.text[self.text.index("{") :])


async def doctor(site: Site, *words: str) -> Said:
    """Runs `starter.py doctor`, and checks that its text output fits a terminal."""
    process = site.run(*STARTER, "doctor", *words, forked=True, **site.environment)
    code = await process.exit_code()
    said = Said(code, process.output)
    if code in (0, 4) and "--json" not in words:
        here = f"{ROOT}/"  # as long as the path of the checkout may be
        assert max((len(line.replace(here, "")) for line in said.text.splitlines()), default=0) <= 80, said.text
    return said


async def noted(site: Site) -> RunHandle:
    """A run that has ended."""
    site.server.call_tools(("note", {"number": 1}))
    site.server.say("It is noted.")
    run = await site.start("Note 1.")
    assert (await run.result(60)).success
    return run


async def statement(site: Site, text: str, **values: Any) -> Any:
    """Runs a statement in the worker's database, bypassing the store."""
    async with mirror(site) as persistence:
        assert persistence.database is not None
        [result] = await persistence.database.run(text, **values)
        return result


async def test_a_run_terminated_in_temporals_ui_is_shown_so_within_an_interval(site: Site) -> None:
    """The mirror shows a run that was terminated in Temporal's UI as such within one reconcile interval."""
    site.server.call_tools(("note", {"number": 1}))
    await site.worker()
    run = await site.start("Note 1.")
    await site.server.wait_for_requests(1)
    site.server.hold()
    await site.server.wait_for_requests(2)
    await site.client.get_workflow_handle(run.id).terminate(reason="pressed the button")
    began = time.monotonic()

    async with mirror(site) as persistence:

        async def shown() -> bool:
            row = await persistence.store.summary(run.id)
            return row is not None and row.status.is_final

        await eventually(shown)
    assert time.monotonic() - began < INTERVAL + SLACK
    site.server.release()
    row = await statement(site, "SELECT status, error, finished_at FROM ONLY $run", run=RecordID("run", run.id))
    assert (row["status"], row["error"]) == ("terminated", "pressed the button")
    assert row["finished_at"] == (await site.client.get_workflow_handle(run.id).describe()).close_time
    assert (await doctor(site, "verify", run.id)).code == 0


async def test_damage_is_named_and_repaired(site: Site) -> None:
    """What the commands say, and their exit codes, are what an operator and a cron job go by."""
    await site.worker()
    first, second = [await noted(site) for _ in range(2)]
    healthy = await doctor(site, "verify", "--all")
    assert (healthy.code, healthy.text.count("2 healthy")) == (0, 1)
    await statement(site, "UPDATE $row SET content = 'x'", row=RecordID("message", [first.id, 2]))
    assert (await doctor(site, "verify", "--all")).code == 0, "newest entries and run rows are as they were"
    await statement(site, "DELETE event:[$id, 3]..=[$id, 5]", id=first.id)
    assert (await doctor(site, "verify", "--all")).code == 4, "entries are missing"
    damaged = await doctor(site, "verify", "--all", "--deep", "--since", "1h")
    assert damaged.code == 4
    assert f"{first.id} is damaged" in damaged.text
    assert "event 3-5: missing" in damaged.text
    assert "message 2: altered: content" in damaged.text
    assert "2 runs: 1 healthy, 1 damaged" in damaged.text
    assert "doctor rebuild --all" in damaged.text
    document = (await doctor(site, "verify", first.id, "--json")).json
    assert document["found"]["damaged"] == 1
    assert {"table": "message", "seq": 2, "key": [], "what": "altered: content"} in document["runs"][0]["differences"]
    assert (await doctor(site, "verify", second.id)).code == 0
    rebuilt = await doctor(site, "rebuild", "--all", "--json")
    assert (rebuilt.code, rebuilt.json["repaired"]) == (0, 4)
    assert {run["run_id"]: run["repaired"] for run in rebuilt.json["runs"]} == {first.id: 4, second.id: 0}
    assert (await doctor(site, "verify", "--all")).code == 0


async def test_what_cannot_be_done_is_reported_in_a_line(site: Site) -> None:
    """What `doctor` cannot do is explained in one line, without a traceback."""
    refused = await doctor(site, "verify", "--all")
    assert refused.code == 3
    assert "no worker polls" in refused.text
    await site.worker()
    for words, said in (
        (("verify", "no-such-run"), "no-such-run"),
        (("rebuild", "no-such-run"), "no-such-run"),
        (("verify",), "--all"),
        (("verify", "a", "--all"), "--all"),
        (("verify", "a", "--since", "2d"), "--since"),
        (("verify", "--all", "--since", "yesterday"), "'yesterday'"),
    ):
        refused = await doctor(site, *words)
        assert (refused.code, "Traceback" in refused.text) == (2, False), refused.text
        assert said in refused.text
