"""Crashes of the worker: after `kill -9` at any moment, runs resume, and finished calls are not repeated."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter

from holdfast import RunHandle
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from tests.support.crash_agents import open_gate, ran
from tests.support.freezing import freeze
from tests.support.lab import eventually
from tests.support.processes import Process, Site

RETRY_AFTER = 2.0  # seconds
DUMPS = 6  # tool results of one turn, 0.6 MB together: more than a model call carries to the mirror
KILLS = 2


def bodies(site: Site) -> list[str]:
    """Returns the requests that the model received."""
    return [json.dumps(request.body, sort_keys=True) for request in site.server.requests]


def assert_answered_once(site: Site, turns: int) -> None:
    """Checks that no answered request was repeated."""
    answered = Counter(json.dumps(request.body, sort_keys=True) for request in site.answered)
    assert len(answered) == turns
    assert set(answered.values()) == {1}


async def test_kill_during_a_model_call(site: Site) -> None:
    """The interrupted model call is repeated from the mirror's transcript; earlier calls are not paid for twice."""
    site.server.call_tools(("note", {"number": 1}))
    site.server.call_tools(("note", {"number": 2}))
    site.server.reply(Reply("This never comes to an end.", hang_after=1))
    site.server.say("Both are noted.")
    worker = await site.worker()
    run = await site.start("Note 1 and 2.")
    await site.server.wait_for_requests(3)
    worker.kill()
    worker = await site.worker()
    result = await run.result(60)
    assert (result.success, result.content) == (True, "Both are noted.")
    assert len(site.server.requests) == 4
    assert bodies(site)[2] == bodies(site)[3]
    assert_answered_once(site, turns=3)
    assert ran(site.workspace) == {"note 1": 1, "note 2": 1}
    await site.assert_mirrored(worker, run)


async def test_kill_during_tool_calls(site: Site) -> None:
    """A repeatable tool runs again; for any other the model is told that the outcome is unknown; finished calls are
    kept.
    """
    site.server.call_tools(("read_slowly", {}), ("pay", {"amount": 5}), ("note", {"number": 1}))
    site.server.say("I shall ask whether it was paid.")
    worker = await site.worker()
    run = await site.start("Pay 5.")

    async def two_run_and_one_has_ended() -> bool:
        pending = await site.pending(run)
        started = {name for name, state in pending.items() if state == "STARTED" and name.startswith("tool.")}
        return started == {"tool.read_slowly", "tool.pay"} and ran(site.workspace).total() == 3

    await eventually(two_run_and_one_has_ended)
    worker.kill()
    open_gate(site.workspace)
    worker = await site.worker()
    assert (await run.result(60)).success
    assert ran(site.workspace) == {"read_slowly": 2, "pay 5": 1, "note 1": 1}
    assert_answered_once(site, turns=2)
    tool_results = [entry.data async for entry in run.entries() if entry.kind == "tool_result"]
    told = {data["tool"]: data["message"]["content"] for data in tool_results}
    assert (told["read_slowly"], told["note"]) == ("read to the end", "noted 1")
    assert "it is unknown whether the call took effect" in told["pay"]
    assert told["pay"] in [message["content"] for message in site.server.requests[1].messages]
    await site.assert_mirrored(worker, run)


async def test_kill_between_calls(site: Site) -> None:
    """With no call in flight nothing is repeated, and the provider's Retry-After outlives the worker."""
    site.server.call_tools(("note", {"number": 1}))
    site.server.reply(Reply.error(503, headers={"Retry-After": f"{RETRY_AFTER:g}"}))
    site.server.say("It is noted.")
    worker = await site.worker()
    run = await site.start("Note 1.")
    await site.server.wait_for_requests(2)

    async def nothing_is_in_flight() -> bool:
        return await site.pending(run) == {"model.call": "SCHEDULED"}

    await eventually(nothing_is_in_flight)
    worker.kill()
    worker = await site.worker()
    assert (await run.result(60)).content == "It is noted."
    first, refused, last = site.server.requests
    assert len(first.messages) < len(refused.messages)
    assert refused.body == last.body
    assert last.received_at - refused.received_at >= RETRY_AFTER
    assert ran(site.workspace) == {"note 1": 1}
    await site.assert_mirrored(worker, run)


async def test_kill_during_a_mirror_write(site: Site) -> None:
    """The embedded database survives a kill during a write; the mirror has no gap and no duplicate."""

    def dump_on(request: ChatRequest) -> Reply:
        turn = sum(message["role"] == "assistant" for message in request.messages)
        return Reply(tool_calls=[ChatToolCall("dump", {"number": DUMPS * turn + part}) for part in range(DUMPS)])

    site.server.respond = dump_on
    site.server.hold()
    worker = await site.worker()
    run = await site.start("Dump.")
    for _ in range(KILLS):
        while not await stopped_in_a_write(site, run, worker):
            pass
        worker.kill()
        worker = await site.worker()
        await site.server.wait_for_requests(len(site.server.requests) + 1)
    site.server.say("All is dumped.")
    site.server.release()
    result = await run.result(60)
    assert result.content == "All is dumped."
    assert_answered_once(site, turns=result.metadata["turns"])
    # A kill may also come before the model call of the same moment has left.
    assert len(site.server.requests) <= result.metadata["turns"] + KILLS
    assert set(ran(site.workspace).values()) == {1}
    await site.assert_mirrored(worker, run)


async def stopped_in_a_write(site: Site, run: RunHandle, worker: Process) -> bool:
    """Makes one turn, and stops the worker while it writes that to the mirror, if it can be caught at it.

    Caught means: the files have grown, Temporal does not know of the write's end, and no tool runs, as a kill would
    repeat it.
    """

    def bytes_written() -> int:
        return sum(file.stat().st_size for file in (site.folder / "mirror").rglob("*") if file.is_file())

    requests, written = len(site.server.requests), bytes_written()
    site.server.release()
    site.server.hold()
    while True:
        await asyncio.sleep(0)
        if (now := bytes_written()) > written:
            written = now
            freeze(worker.pid)
            pending = await site.pending(run)
            if pending.get("mirror.append") == "STARTED" and "tool.dump" not in pending:
                return True
            worker.signal(signal.SIGCONT)
        elif len(site.server.requests) > requests and "mirror.append" not in await site.pending(run):
            return False
