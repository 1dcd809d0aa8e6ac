"""Live text of a run: a subscriber receives each piece once while it is written, and none is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from holdfast import Agent, Entry, Event, Notice, RunHandle, TextDelta, tool
from holdfast.activities.announcer import Announcer
from holdfast.client.follow import Follower
from holdfast.client.holdfast import Holdfast
from holdfast.events import RUNS, run_topic
from holdfast.storage.bus import Bus, SurrealLog
from holdfast.storage.bus.conformance_helpers import kept
from holdfast.storage.database import open_database
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import Reply
from holdfast.types import EntryBatch
from tests.support.lab import TIMEOUT, Lab, contents, eventually
from tests.support.surreal_server import free_port

WORDS = " ".join(f"word{number}" for number in range(180))
MORE_ATTEMPTS = 2.0  # seconds in which a worker is asked several times more
PIECE_DELAY = 0.04  # seconds between pieces of six words: 1.2 s in all, in which there is one heartbeat


@tool(read_only=True)
async def look() -> str:
    """Looks."""
    return "seen"


writer = Agent(name="writer", system_prompt="You write.", tools=[look])


async def followed(handle: RunHandle) -> list[Event]:
    """Everything that a follower is shown."""
    async with asyncio.timeout(TIMEOUT):
        return [event async for event in handle.events()]


def deltas(events: list[Event], turn: int) -> list[TextDelta]:
    """The pieces of a turn's text."""
    return [event for event in events if isinstance(event, TextDelta) and event.turn == turn]


@asynccontextmanager
async def subscribed(lab: Lab) -> AsyncIterator[None]:
    """Subscribes to a topic of no run."""

    async def is_known() -> bool:
        return lab.bus.may_have_subscribers()

    async with lab.bus.subscribe("other") as events:
        waiting = asyncio.create_task(anext(events))
        await eventually(is_known)
        yield
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_pieces_come_as_they_are_written(lab: Lab) -> None:
    """Text is shown as it is written, once, and before its message."""
    lab.server.call_tools(("look", {}), text=WORDS, piece_delay=PIECE_DELAY)
    lab.server.reply(Reply(text=WORDS, piece_delay=PIECE_DELAY))
    async with lab.worker(writer, max_cached_workflows=100):
        events = await followed(await lab.holdfast.start("writer", "Write."))
    for turn in (1, 2):
        pieces = deltas(events, turn)
        assert len(pieces) >= 6, "as many as there were 0.06 s, on a machine that is busy"
        assert WORDS.startswith("".join(piece.text for piece in pieces))
        message = next(
            event for event in events if isinstance(event, Entry) and event.kind == "message" and event.turn == turn
        )
        assert events.index(pieces[-1]) < events.index(message)
    result = next(event for event in events if isinstance(event, Entry) and event.kind == "tool_result")
    assert events.index(result) < events.index(deltas(events, 2)[0]), "what the model read, then what it wrote"
    seqs = [event.seq for event in events if isinstance(event, Entry)]
    assert seqs == list(range(len(seqs)))


async def test_who_comes_late_sees_the_whole_sentence(lab: Lab) -> None:
    """A subscriber that joins in mid-sentence receives the sentence from its beginning."""
    lab.server.reply(Reply(text=WORDS, piece_delay=PIECE_DELAY))
    async with lab.worker(writer, max_cached_workflows=100):
        handle = await lab.holdfast.start("writer", "Write.")
        async for event in handle.events():
            if isinstance(event, TextDelta) and "word5" in event.text:
                break
        pieces = deltas(await followed(handle), 1)
        assert "".join(piece.text for piece in pieces).startswith("word0 word1")


async def test_without_a_bus_heartbeats_bring_the_text(lab: Lab) -> None:
    """Without a bus, heartbeats carry the text."""
    lab.server.reply(Reply(text=WORDS, piece_delay=PIECE_DELAY * 2))
    async with lab.worker(writer, max_cached_workflows=100):
        handle = await lab.holdfast.start("writer", "Write.")
        alone = Holdfast(lab.client, task_queue=lab.settings.temporal_task_queue).handle(handle.id)
        pieces = deltas(await followed(alone), 1)
        assert pieces
        assert WORDS.startswith("".join(piece.text for piece in pieces))


async def test_another_attempt_is_shown_from_its_beginning(lab: Lab) -> None:
    """A repeated attempt is shown from its beginning, apart from the failed one."""
    lab.server.reply(Reply(text=WORDS, piece_delay=PIECE_DELAY, cut_after=20))
    lab.server.reply(Reply(text=WORDS.upper(), piece_delay=PIECE_DELAY))
    async with lab.worker(writer, max_cached_workflows=100):
        events = await followed(await lab.holdfast.start("writer", "Write."))
    shown = "".join(piece.text for piece in deltas(events, 1))
    second = shown[shown.index("WORD0") :]
    assert WORDS.startswith(shown.removesuffix(second))
    assert WORDS.upper().startswith(second)


async def test_nothing_is_left_of_a_complete_message(lab: Lab) -> None:
    """The pieces of a complete message are removed."""
    lab.server.reply(Reply(text=WORDS, piece_delay=0.01))
    async with lab.worker(writer, max_cached_workflows=100), subscribed(lab):
        handle = await lab.holdfast.start("writer", "Write.")
        await handle.result(TIMEOUT)
        head = (await lab.entries(handle.id))[-1].seq

        async def only_the_last_note() -> bool:
            events = await kept(lab.bus, run_topic(handle.id), 1)
            return events[0].data == {"kind": "entries", "head": head}

        await eventually(only_the_last_note)


async def test_nobody_is_notified_if_nobody_subscribes(lab: Lab) -> None:
    """That a run has new entries is not published while the bus has no subscriber."""
    lab.server.reply(Reply(text=WORDS))
    async with lab.worker(writer, max_cached_workflows=100):
        handle = await lab.holdfast.start("writer", "Write.")
        await handle.result(TIMEOUT)
        await lab.assert_mirrored(handle.id)
    assert not await lab.bus.read(run_topic(handle.id))


async def test_what_becomes_of_a_run_is_told_once(lab: Lab) -> None:
    """Each change of a run's status is published once."""
    async with lab.worker(writer):
        handle = await lab.holdfast.start("writer", "Write.")
        await handle.result(TIMEOUT)
        await lab.assert_mirrored(handle.id)
        told = await kept(lab.bus, RUNS, 2)
        for entries in ((entry,) for entry in await lab.entries(handle.id)):
            summary = await lab.store.summary(handle.id)
            run = await lab.store.run(handle.id)
            assert summary is not None
            assert run is not None
            await Announcer(lab.bus).announce(
                EntryBatch(
                    run_id=handle.id, chain=run.chain, previous_digest="", entries=list(entries), summary=summary
                )
            )
        await lab.bus.publish(RUNS, {"kind": "end of test"})
        events = await kept(lab.bus, RUNS, 3)
    assert events[:2] == told
    assert [event.data["status"] for event in told] == ["running", "completed"]
    assert told[1].data == {"kind": "run", "run_id": handle.id, "agent": "writer", "status": "completed"}
    assert events[2].data == {"kind": "end of test"}


async def test_a_bus_that_is_unavailable_costs_a_model_call_nothing(lab: Lab) -> None:
    """A model call neither fails nor waits while the bus is unavailable."""
    lab.server.reply(Reply(text=WORDS, piece_delay=PIECE_DELAY))
    database = open_database(f"ws://127.0.0.1:{free_port()}")
    async with lab.worker(writer, max_cached_workflows=100, bus=Bus(SurrealLog(database))):
        handle = await lab.holdfast.start("writer", "Write.")
        await lab.server.wait_for_requests(1)

        async def has_answered() -> bool:
            return ("assistant", WORDS) in contents(await lab.entries(handle.id))

        await eventually(has_answered)
        assert len(lab.server.requests) == 1
        [request] = lab.server.requests
        assert request.finished_at is not None
        reply = next(entry for entry in await lab.entries(handle.id) if entry.turn == 1)
        assert reply.data["seconds"] < request.finished_at - request.received_at + 0.5
        await handle.terminate("the test is over")
    await database.close()


async def test_each_reason_for_waiting_is_told_once(lab: Lab) -> None:
    """While no worker runs, followers are told so, and not again at each attempt to reach one."""
    run = await lab.holdfast.start("nobody", "Hello.")
    log = TemporalRunLog(lab.client, query_timeouts=(timedelta(seconds=0.2),))
    told: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT) as limit:
            async for event in Follower(log, run.id, -1).events():
                assert isinstance(event, Notice)
                told.append(event.text)
                if len(told) == 2:
                    limit.reschedule(asyncio.get_running_loop().time() + MORE_ATTEMPTS)
    assert len(told) == 2, told
    assert "no worker answered" in told[0]
    assert "no worker has picked up the run" in told[1]
