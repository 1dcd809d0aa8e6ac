"""Mirror properties: batches in any form produce the same rows, and any text is read back unchanged."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from holdfast.errors import MirrorGap, StoreUnavailable, TranscriptUnavailable
from holdfast.ports import Store
from holdfast.storage.database.remote import STATEMENT_DEADLINE
from holdfast.storage.mirror import MemoryStore
from holdfast.storage.mirror.json_text import entry_text
from holdfast.storage.mirror.rows import storable
from holdfast.storage.mirror.sample import SampleRun
from holdfast.types import RunStatus, TranscriptRef
from tests.support.dump import dump, of_run
from tests.support.engine import EXAMPLES, Engine, open_engine
from tests.support.logs import FAILURE, Delivery, Log, Slice, Turn, deliveries, logs, texts

SHORT = (Turn("the answer", calls=(), answers=(), extra=None),)
FAMILY = {"a family": None, "a family/1": "a family", "a family/2": "a family", "a family/1/1": "a family/1"}
"""Runs with their parents."""
SURROGATES = frozenset(map(chr, range(0xD800, 0xE000)))
FAULTS = {
    "DEFINE FIELD OVERWRITE role ON message TYPE string ASSERT $value = 'nobody'": (
        "DEFINE FIELD OVERWRITE role ON message TYPE string"
    ),
    "DEFINE EVENT fault ON message THEN { THROW 'no room' }": "REMOVE EVENT fault ON message",
    "DEFINE EVENT fault ON event THEN { THROW 'no room' }": "REMOVE EVENT fault ON event",
}
"""Statements that make a write fail in its middle or at its end, and those that repair it."""
SENDINGS = 20  # of one piece: each may be answered with a gap, or come second to another writer


@pytest.fixture(scope="module", params=EXAMPLES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each kind of store."""
    with open_engine(request.param, tmp_path_factory.mktemp("engine")) as engine:
        yield engine


async def send(store: Store, log: Log, piece: Slice) -> None:
    """Sends a batch like a run's outbox: with the earlier entries that the mirror lacks."""
    first, end = piece
    for _ in range(SENDINGS):
        try:
            acked = await store.append(log.batch(first, end))
        except MirrorGap as gap:
            first = gap.expected
        except StoreUnavailable as failure:  # the other writers came first
            assert "other writers" in str(failure)  # noqa: PT017 - any other failure is one of the test
        else:
            assert acked.seq >= end - 1
            return
    raise AssertionError(f"entries {first} to {end} were not taken")


async def send_all(store: Store, delivery: Delivery) -> None:
    """Has all writers send what they have, at once."""

    async def write(pieces: tuple[Slice, ...]) -> None:
        for piece in pieces:
            await send(store, delivery.log, piece)

    await asyncio.gather(*(write(pieces) for pieces in delivery.writers))


def test_any_delivery_ends_in_the_same_rows(engine: Engine) -> None:
    """The rows depend only on the log: not on batches, their order, their sender or repetition."""

    async def check(delivery: Delivery) -> None:
        await send_all(engine.store, delivery)
        await engine.same_as(delivery.log)
        await engine.clear()

    engine.always(deliveries(), check)


def test_what_was_there_before_leaves_no_trace(engine: Engine) -> None:
    """Rewriting a run removes every trace of a damaged mirror or of an earlier run with that id."""

    async def check(case: tuple[Delivery, Log, bool, bool]) -> None:
        delivery, wrong, older, whole = case
        log = delivery.log
        before = wrong.other(run_id=log.run_id, parent=log.parent)
        if older:
            before = before.other(chain="older life", started_at=log.started_at.replace(year=2025))
        await engine.store.append(before.batch() if whole else before.batch(0, 2))
        await send_all(engine.store, delivery)
        if older:
            await engine.store.append(before.batch())  # its writer may still be there
        if older or not before.continues(log):
            await engine.same_as(log)
        await engine.clear()

    engine.always(st.tuples(deliveries(), logs(), st.booleans(), st.booleans()), check)


def test_a_run_never_goes_back(engine: Engine) -> None:
    """A late batch never restores an older summary or head."""

    async def check(delivery: Delivery) -> None:
        log, newest = delivery.log, -1
        for piece in (piece for pieces in delivery.writers for piece in pieces):
            await send(engine.store, log, piece)
            newest = max(newest, piece[1] - 1)
            head = await engine.store.head(log.run_id)
            assert head == log.entries[newest].ref
            assert await engine.store.summary(log.run_id) == log.summary(newest)
        await engine.clear()

    engine.always(deliveries(), check)


def test_families_come_in_any_order(engine: Engine) -> None:
    """The edge from parent to child exists in any order of writes, and after rewrites."""

    async def check(order: list[str]) -> None:
        for name in order:
            log = Log(turns=SHORT, ended=True, run_id=name, parent=FAMILY[name])
            await engine.store.delete(name)
            await engine.store.append(log.batch())
        if engine.database is not None:
            edges = {(row["in"], row["out"]) for row in (await dump(engine.database))["spawned"]}
            assert edges == {(f'run:"{FAMILY[name]}"', f'run:"{name}"') for name in order if FAMILY[name]}
        await engine.clear()

    engine.always(st.lists(st.sampled_from(sorted(FAMILY)), min_size=1, max_size=8), check)


def test_columns_are_as_near_to_the_text_as_can_be(engine: Engine) -> None:
    """Columns hold the text exactly, except characters that the database cannot store."""

    async def check(text: str) -> None:
        log = Log(turns=(Turn(text, calls=("a",), answers=(0,), extra=None),), ended=True)
        await engine.store.append(log.batch())
        if engine.database is not None:
            rows = await dump(engine.database)
            answer, [call], [run] = rows["message"][1], rows["tool_call"], rows["run"]
            for column in (answer["content"], call["arguments"], run["input"]):
                assert not set(column) & {"\0", *SURROGATES}
                assert kept(column) == kept(text)
        await engine.clear()

    engine.always(texts, check)


def kept(text: str) -> str:
    """What of a text a database takes; what it does not take becomes U+FFFD."""
    return "".join(character for character in text if character not in {"\0", "\ufffd", *SURROGATES})


def test_a_checkpoint_is_where_a_turn_ended(engine: Engine) -> None:
    """Every turn that ended has a checkpoint, from which a model can resume; so has every point that was made one."""

    async def check(delivery: Delivery) -> None:
        await send_all(engine.store, delivery)
        if engine.database is not None:
            rows = of_run(await dump(engine.database), delivery.log.run_id)["agent_checkpoint"]
            found = {(row["data"]["name"], row["data"]["seq"], row["data"]["digest"]) for row in rows}
            ends = {(f"turn-{turn}", ref.seq, ref.digest) for turn, ref in turn_ends(delivery.log)}
            made = [entry for entry in delivery.log.entries if entry.kind == "checkpoint"]
            assert found == ends | {(storable(entry.data["name"]), entry.seq, entry.digest) for entry in made}
            rows.sort(key=lambda row: row["data"]["seq"])
            texts = [json.loads(row["data"]["text"]) for row in rows if "text" in row["data"]]
            assert texts == [{name: entry.data[name] for name in ("name", "data", "by")} for entry in made]
            assert len(rows) == len(found)
        await engine.clear()

    engine.always(deliveries(), check)


def turn_ends(log: Log) -> Iterator[tuple[int, TranscriptRef]]:
    """Returns the last entry of each turn: the one that answers its last tool call."""
    open_calls: set[str] = set()
    for entry in log.entries:
        message = entry.message
        if message is None or message.role not in ("assistant", "tool"):
            continue
        if message.role == "assistant":
            open_calls = {storable(call.id) for call in message.tool_calls}
            ends = not open_calls
        else:
            answered = storable(message.tool_call_id)
            ends = open_calls == {answered}
            open_calls.discard(answered)
        if ends:
            yield entry.turn, entry.ref


@pytest.mark.parametrize("statement", FAULTS)
def test_a_statement_that_fails_leaves_nothing(engine: Engine, statement: str) -> None:
    """A write that fails in any statement leaves nothing behind, and the store stays usable."""
    database = engine.database
    if database is None:
        pytest.skip("memory has no statements")
    log = Log(turns=(Turn("t", calls=("a",), answers=(0,), extra=None), *SHORT), ended=True)

    async def check() -> None:
        await engine.store.append(log.batch(0, 2))
        before = await dump(database)
        await database.run(statement)
        try:
            with pytest.raises(StoreUnavailable, match="rejected"):
                await engine.store.append(log.batch(2))
        finally:
            await database.run(FAULTS[statement])  # the engine is that of the whole module
        assert await dump(database) == before
        await engine.store.append(log.batch(2))
        await engine.same_as(log)
        await engine.clear()

    engine.run(check())


@pytest.mark.parametrize("size", [5_000_000])
def test_five_megabytes_in_time(engine: Engine, size: int) -> None:
    """An answer of five megabytes is written within the deadline of a statement."""

    async def check() -> None:
        run = SampleRun(turns=1, extra="漢" * (size // 3))
        began = time.monotonic()
        await engine.store.append(run.batch())
        assert time.monotonic() - began < STATEMENT_DEADLINE / 2
        assert await engine.store.entries(run.run_id) == run.entries
        await engine.clear()

    engine.run(check())


def test_late_entries_do_not_revive_a_run(engine: Engine) -> None:
    """Entries that arrive after the end was recorded do not make the run active again."""

    async def check() -> None:
        run = SampleRun(turns=3)
        await engine.store.append(run.batch(0, 6))
        mirrored = await engine.store.run(run.run_id)
        assert mirrored is not None
        ended = mirrored.summary.model_copy(update={"status": RunStatus.TERMINATED, "error": FAILURE})
        assert await engine.store.conclude(mirrored.model_copy(update={"summary": ended}))
        await engine.store.append(run.batch(6))
        assert await engine.store.entries(run.run_id) == run.entries
        assert await engine.store.head(run.run_id) == run.head
        assert await engine.store.summary(run.run_id) == ended
        await engine.clear()

    engine.run(check())


def test_the_future_is_kept(engine: Engine) -> None:
    """Fields of a newer version survive reading and writing by an older one."""

    async def check() -> None:
        log = Log(turns=SHORT, ended=True).from_the_future()
        await engine.store.append(log.batch())
        [*_, strange, finish] = await engine.store.entries(log.run_id)
        assert (strange.kind, finish.kind) == ("thought", "finish")
        assert strange.follows(log.entries[-3].digest)
        assert strange.model_dump()["mood"] == {"calm": 2**70}
        assert (await engine.store.messages(log.run_id))[1].model_extra == {"tone": "dry"}
        summary = await engine.store.summary(log.run_id)
        assert summary is not None
        assert summary.model_dump()["plan"] == ["b"]
        with pytest.raises(TranscriptUnavailable, match="thought"):
            await engine.store.context(log.run_id, log.head)
        copy = MemoryStore()
        await copy.append(log.batch().model_copy(update={"entries": await engine.store.entries(log.run_id)}))
        assert [entry_text(entry) for entry in await copy.entries(log.run_id)] == [
            entry_text(entry) for entry in log.entries
        ]
        await engine.clear()

    engine.run(check())


def test_columns_of_the_future_are_left_alone(engine: Engine) -> None:
    """Reading, appending and concluding work on tables with columns of a newer version."""
    database = engine.database
    if database is None:
        pytest.skip("memory has no columns")
    log = Log(turns=SHORT, ended=False)

    async def check() -> None:
        await database.run("DEFINE FIELD mood ON run TYPE option<string>")
        await database.run("DEFINE FIELD mood ON event TYPE option<string>")
        await engine.store.append(log.batch(0, 2))
        await database.run("UPDATE run SET mood = 'calm'")
        await database.run("UPDATE event SET mood = 'calm'")
        assert await engine.store.entries(log.run_id) == log.entries[:2]
        assert await engine.store.summary(log.run_id) == log.summary(1)
        await engine.store.append(log.batch(2))
        assert await engine.store.run(log.run_id) in await engine.store.runs()
        assert await engine.store.entries(log.run_id) == log.entries
        await database.run("REMOVE FIELD mood ON run")
        await database.run("REMOVE FIELD mood ON event")
        await engine.clear()

    engine.run(check())
