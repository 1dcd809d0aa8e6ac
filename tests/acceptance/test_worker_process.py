"""The process `worker.py`: its settings, logs and shutdown."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from holdfast.storage.mirror import open_store
from holdfast.testing import Reply
from tests.support.crash_agents import ran
from tests.support.processes import Site

DELAY = 0.3  # seconds that the model takes; long enough for calls to overlap where they may


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_shutdown_lets_calls_in_flight_end(site: Site, number: signal.Signals) -> None:
    """On SIGTERM and SIGINT the worker lets calls in flight finish."""
    site.server.call_tools(("note", {"number": 1}))
    site.server.hold()
    worker = await site.worker()
    run = await site.start("Note 1.")
    await site.server.wait_for_requests(1)
    worker.signal(number)
    await worker.wait_for_output("worker shuts down")
    site.server.release()
    assert await worker.exit_code() == 0
    assert "worker has ended" in worker.output
    assert "Traceback" not in worker.output
    site.server.say("It is noted.")
    await site.worker()
    assert (await run.result(60)).content == "It is noted."
    assert len(site.server.requests) == 2, "the answer of the call in flight was lost"
    assert ran(site.workspace) == {"note 1": 1}


async def test_workers_share_one_embedded_store(site: Site) -> None:
    """Two workers share one embedded database; if its owner is killed, the other one takes over."""
    holder, other = await site.worker(), await site.worker()
    first = await site.start("Say something.")
    assert (await first.result(60)).success
    holder.kill()
    second = await site.start("Say something else.")
    assert (await second.result(60)).success
    await site.assert_mirrored(other, first, second)


async def test_worker_refuses_a_store_that_is_not_shared(site: Site) -> None:
    """A worker refuses to start on an embedded database that another process has open alone."""
    store = open_store(site.environment["SURREALDB_URL"])
    await store.open()
    worker = site.run_worker()
    assert await worker.exit_code() == 3
    [line] = worker.output.splitlines()
    assert f"in use by process {os.getpid()}" in line
    assert "SURREALDB_URL" in line
    await store.close()


@dataclass(frozen=True)
class Refused:
    name: str
    environment: dict[str, str]
    words: list[str] = field(default_factory=list)


REFUSED = [
    Refused("a word for a number", {"MAX_CONCURRENT_AGENTS": "many"}, ["MAX_CONCURRENT_AGENTS='many'"]),
    Refused("out of range", {"AGENT_EXECUTION_TIMEOUT": "-1"}, ["AGENT_EXECUTION_TIMEOUT='-1'", "greater than 0"]),
    Refused("not a choice", {"LOG_FORMAT": "xml"}, ["LOG_FORMAT='xml'", "console", "json"]),
    Refused("an unknown store", {"SURREALDB_URL": "mysql://x"}, ["SURREALDB_URL", "'mysql://x'", "surrealkv://"]),
    Refused("no such module", {"HOLDFAST_AGENTS": "no_such_agents"}, ["HOLDFAST_AGENTS", "'no_such_agents'"]),
    Refused(
        "no agents in it", {"HOLDFAST_AGENTS": "json"}, ["HOLDFAST_AGENTS", "'json'", "neither an agent nor a tool"]
    ),
]


async def test_bad_settings_are_refused_in_one_line(site: Site) -> None:
    """An invalid setting is named in one line."""
    workers = [(case, site.run_worker(**case.environment)) for case in REFUSED]
    for case, worker in workers:
        assert await worker.exit_code() == 2, case.name
        lines = worker.output.splitlines()
        assert len(lines) == 1, case.name
        for words in case.words:
            assert words in lines[0], case.name


async def test_logs_as_json(site: Site) -> None:
    """Every log line is JSON, and those of a run carry its id."""
    site.server.reply(Reply.error(503, "overloaded", headers={"Retry-After": "0.1"}))
    site.server.say("Done.")
    worker = await site.worker(LOG_FORMAT="json")
    run = await site.start("Do it.")
    assert (await run.result(60)).success
    assert await worker.stop() == 0
    lines = [json.loads(line) for line in worker.output.splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    [retried] = [line for line in lines if "overloaded" in line.get("reason", "")]
    assert retried["run_id"] == run.id
    assert lines[-1]["event"] == "worker has ended"


async def test_agents_executing_at_once_are_limited(site: Site) -> None:
    """No more than MAX_CONCURRENT_AGENTS agents execute at once."""
    await site.worker(MAX_CONCURRENT_AGENTS="1")
    site.server.respond = lambda _request: Reply("Done.", delay=DELAY)
    runs = [await site.start(f"Do {number}.") for number in range(3)]
    for run in runs:
        assert (await run.result(60)).success
    spans = sorted((request.received_at, request.finished_at or 0.0) for request in site.server.requests)
    assert len(spans) == len(runs)
    for (_, ended), (begun, _) in pairwise(spans):
        assert ended <= begun
