"""The doctor: it finds all damage to the mirror and repairs it from history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from surrealdb import RecordID

from holdfast import RunHandle
from holdfast.errors import RunNotFound
from holdfast.ops.doctor import Rebuilder, RunFinder, Verdict, Verifier, map_concurrently
from holdfast.ports import RowDifference, Store
from holdfast.storage.database import Database, open_database
from holdfast.storage.mirror import SurrealStore
from holdfast.storage.mirror.sample import SampleRun
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import ChatRequest, ModelServer, Reply
from holdfast.types import RunStatus
from tests.support.dump import TABLES, dump
from tests.support.lab import Lab, eventually
from tests.support.many_turns import walk, walker
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

LIVE_RUNS = 20
TURNS = 6
HALFWAY = 3  # turns
MODEL_DELAY = 0.5  # seconds, where a run shall not be over before the doctor has looked a few times


@dataclass
class Clinic:
    """A lab whose mirror is a real database, and the doctor."""

    lab: Lab
    database: Database
    store: Store
    log: TemporalRunLog
    is_server: bool

    @property
    def verifier(self) -> Verifier:
        """Looks at every row."""
        return Verifier(self.store, self.log)

    @property
    def rebuilder(self) -> Rebuilder:
        """Makes it right."""
        return Rebuilder(self.store, self.log)

    @property
    def finder(self) -> RunFinder:
        """Finds runs."""
        return RunFinder(self.lab.client, self.lab.settings.temporal_task_queue, self.store)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Serves the walker."""
        async with self.lab.worker(walker, store=self.store, max_cached_workflows=100):
            yield

    async def walked(self, turns: int = TURNS) -> str:
        """A run that has ended, with its mirror."""
        self.lab.server.respond = walk(turns)
        result = await self.lab.holdfast.run("walker", "Walk.")
        assert result.success, result.error
        return result.run_id

    async def differences(self, run_id: str) -> list[RowDifference]:
        """What the doctor finds."""
        return list((await self.verifier.verify(run_id)).differences)

    async def verdict(self, run_id: str) -> Verdict:
        """What the doctor says."""
        return (await self.verifier.verify(run_id)).verdict

    async def reference(self, *run_ids: str) -> dict[str, list[dict[str, Any]]]:
        """Every row as it is in a mirror that never knew anything but the history."""
        database = open_database("mem://")
        try:
            healthy = Rebuilder(SurrealStore(database), self.log)
            for run_id in run_ids:
                await healthy.rebuild(run_id)
            return await dump(database)
        finally:
            await database.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurrealServer]:
    """A SurrealDB server of this module's own."""
    with SurrealServer.find(tmp_path_factory.mktemp("surreal")) as running:
        yield running


@pytest.fixture(params=["embedded", "server"])
async def clinic(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> AsyncIterator[Clinic]:
    """The doctor's workplace, on each engine."""
    if request.param == "server":
        url = request.getfixturevalue("server").url
        database = open_database(url, database=lab.settings.temporal_task_queue, username=USERNAME, password=PASSWORD)
    else:
        database = open_database(f"surrealkv://{tmp_path}/mirror")
    yield Clinic(lab, database, SurrealStore(database), TemporalRunLog(lab.client), request.param == "server")
    await database.close()


async def drop(clinic: Clinic) -> None:
    """What an operator should not do; of the engine in this process only the rows can be lost while it runs."""
    [name] = await clinic.database.run("RETURN session::db()")
    if clinic.is_server:
        await clinic.database.run(f"REMOVE DATABASE `{name}`")
    for table in TABLES:
        await clinic.database.run("DELETE type::table($table)", table=table)


async def settled(clinic: Clinic, runs: list[RunHandle]) -> None:
    """Waits until nothing completes a mirror any more."""
    for run in runs:

        async def done(run_id: str = run.id) -> bool:
            return not await clinic.log.is_catching_up(run_id)

        await eventually(done)


@pytest.mark.timeout(180)
async def test_a_database_that_is_dropped_under_live_runs_comes_back(clinic: Clinic) -> None:
    """Runs continue when the database is dropped, and every row is restored."""
    paused = asyncio.Event()

    def respond(request: ChatRequest) -> Reply:
        if paused.is_set():
            return Reply.error(503, headers={"Retry-After": "0.5"})
        return walk(TURNS)(request)

    clinic.lab.server.respond = respond
    async with clinic.worker():
        runs = [await clinic.lab.holdfast.start("walker", f"Walk {number}.") for number in range(LIVE_RUNS)]

        async def halfway() -> bool:
            return len(clinic.lab.server.requests) >= LIVE_RUNS * HALFWAY

        await eventually(halfway)
        paused.set()
        await drop(clinic)
        paused.clear()
        results = await asyncio.gather(*(run.result(60) for run in runs))
        assert all(result.success for result in results)
        ids = [run.id for run in runs]
        await settled(clinic, runs)
        async for _ in map_concurrently(clinic.finder.all_runs(), clinic.rebuilder.rebuild):
            pass
        assert await dump(clinic.database) == await clinic.reference(*ids)
        assert {await clinic.verdict(run_id) for run_id in ids} == {Verdict.HEALTHY}
    assert len({request.body["messages"][1]["content"] for request in clinic.lab.server.requests}) == LIVE_RUNS


@dataclass(frozen=True)
class Flip:
    """Damage to a row, and the findings that the doctor must report."""

    name: str
    row: RecordID
    change: str
    named: list[str]


def flips(run_id: str, call: str) -> list[Flip]:
    """Returns damage to each table, of each kind."""
    run, event = RecordID("run", run_id), RecordID("event", [run_id, 4])
    message, calls = RecordID("message", [run_id, 3]), RecordID("tool_call", [run_id, 2, call])
    checkpoint = RecordID("agent_checkpoint", [run_id, 4, "turn-1"])
    where = f"tool_call 5 (turn 2, call {call!r})"
    return [
        Flip(
            "text of an entry",
            event,
            "UPDATE $row SET text = string::replace(text, 'e', 'f')",
            ["event 4: altered: text"],
        ),
        Flip(
            "text that is not JSON",
            event,
            "UPDATE $row SET text = string::concat('[', text)",
            ["event 4: altered: text"],
        ),
        Flip("digest of an entry", event, "UPDATE $row SET digest = 'a'", ["event 4: altered: digest"]),
        Flip("time of an entry", event, "UPDATE $row SET at = at + 1ms", ["event 4: altered: at"]),
        Flip("an entry is gone", event, "DELETE $row", ["event 4: missing"]),
        Flip(
            "a message",
            message,
            "UPDATE $row SET content = string::concat(content, '.')",
            ["message 3: altered: content"],
        ),
        Flip("a message is gone", message, "DELETE $row", ["message 3: missing"]),
        Flip("arguments of a call", calls, "UPDATE $row SET arguments = '{}'", [f"{where}: altered: arguments"]),
        Flip("seconds of a call", calls, "UPDATE $row SET seconds = 1.5", [f"{where}: altered: seconds"]),
        Flip("a call has an error", calls, "UPDATE $row SET error = 'no'", [f"{where}: altered: error"]),
        Flip("a checkpoint", checkpoint, "UPDATE $row SET data.digest = 'b'", ["agent_checkpoint 4: altered: data"]),
        Flip("a run's status", run, "UPDATE $row SET status = 'failed'", ["run: altered: status"]),
        Flip("a run's text", run, "UPDATE $row SET text = string::concat(text, '}')", ["run: altered: text"]),
        Flip("a run's head", run, "UPDATE $row SET head = 5", ["run: altered: head"]),
        Flip("a run's digest", run, "UPDATE $row SET digest = 'c'", ["run: altered: digest"]),
        Flip("a run's chain", run, "UPDATE $row SET chain = 'd'", ["run: altered: chain"]),
        Flip(
            "a run's start",
            run,
            "UPDATE $row SET started_at = started_at + 1h, chain = 'e'",
            ["run: altered: started_at, chain"],
        ),
        Flip("a run is gone", run, "DELETE $row", ["run: missing"]),
        Flip(
            "one entry too many",
            RecordID("event", [run_id, 99]),
            "CREATE $row SET kind = 'x', at = time::now(), turn = 1, digest = '', text = ''",
            ["event 99: not in the log"],
        ),
        Flip(
            "one message too many",
            RecordID("message", [run_id, -1]),
            "CREATE $row SET role = 'x', content = '', tools = [], turn = 1, at = time::now(), entry = event:1",
            ["message -1: not in the log"],
        ),
    ]


async def test_every_kind_of_damage_is_named_and_repaired(clinic: Clinic) -> None:
    """Every kind of damage, down to one changed character, is found, named and repaired."""
    async with clinic.worker():
        run_id = await clinic.walked(turns=3)
        assert await clinic.verdict(run_id) == Verdict.HEALTHY
        right = await dump(clinic.database)
        call = next(str(row["id"]) for row in right["tool_call"] if row["asked"] == 5)
        for flip in flips(run_id, json.loads(call.partition(":")[2])[2]):
            await clinic.database.run(flip.change, row=flip.row)
            assert await dump(clinic.database) != right, flip.name
            assert [str(difference) for difference in await clinic.differences(run_id)] == flip.named, flip.name
            assert (await clinic.rebuilder.rebuild(run_id)).repaired == 1, flip.name
            assert await dump(clinic.database) == right, flip.name
        assert await clinic.verdict(run_id) == Verdict.HEALTHY


async def test_a_live_run_is_repaired_while_its_worker_writes(clinic: Clinic) -> None:
    """An active run is repaired while its worker writes, without losing or reverting anything."""
    clinic.lab.server.respond = lambda request: replace(walk(12)(request), delay=MODEL_DELAY)
    async with clinic.worker():
        run = await clinic.lab.holdfast.start("walker", "Walk.")
        ended = asyncio.create_task(run.result(60))
        await clinic.lab.server.wait_for_requests(3)
        rounds = 0
        while not ended.done():
            for change in ("UPDATE $row SET content = 'x'", "DELETE $row"):
                await clinic.database.run(change, row=RecordID("message", [run.id, rounds % 5]))
            await clinic.database.run("UPDATE $row SET text = 'x'", row=RecordID("event", [run.id, rounds % 7]))
            await clinic.rebuilder.rebuild(run.id)
            rounds += 1
        assert ended.result().success
        await settled(clinic, [run])
        await clinic.rebuilder.rebuild(run.id)
        assert rounds > 1
        assert await dump(clinic.database) == await clinic.reference(run.id)


def hold_the_second(server: ModelServer, respond: Callable[[ChatRequest], Reply]) -> Callable[[ChatRequest], Reply]:
    """Answers the first request as `respond` does, and holds those after it."""

    def answer(request: ChatRequest) -> Reply:
        if len(server.requests) == 1:
            server.hold()
        return respond(request)

    return answer


async def test_a_live_run_may_be_behind_but_must_not_lose_what_was_acknowledged(clinic: Clinic) -> None:
    """An active run may lag, but a lost acknowledged row is reported."""
    async with clinic.worker():
        clinic.lab.server.respond = hold_the_second(clinic.lab.server, walk(3))
        run = await clinic.lab.holdfast.start("walker", "Walk.")
        await clinic.lab.server.wait_for_requests(2)

        async def acknowledged() -> bool:
            return (await run.status()).mirrored >= 2

        await eventually(acknowledged)
        assert await clinic.verdict(run.id) in (Verdict.HEALTHY, Verdict.BEHIND)
        await clinic.store.delete(run.id)
        assert await clinic.verdict(run.id) == Verdict.DAMAGED
        assert (await clinic.rebuilder.rebuild(run.id)).written == 5
        assert await clinic.verdict(run.id) == Verdict.HEALTHY
        clinic.lab.server.release()
        assert (await run.result(60)).success
        await settled(clinic, [run])
        assert await clinic.verdict(run.id) == Verdict.HEALTHY


async def test_a_rebuild_that_is_broken_off_can_be_done_again(clinic: Clinic) -> None:
    """An interrupted rebuild can be repeated with the same result."""
    async with clinic.worker():
        run_id = await clinic.walked(turns=4)
        right = await dump(clinic.database)
        for steps in range(1, 40, 4):
            await clinic.database.run("DELETE $row", row=RecordID("run", run_id))
            await clinic.database.run("UPDATE message SET content = 'x'")
            await clinic.database.run("UPDATE event SET digest = 'x' WHERE id[1] > 5")
            task = asyncio.create_task(clinic.rebuilder.rebuild(run_id))
            for _ in range(steps):
                await asyncio.sleep(0.002)
            task.cancel()
            await asyncio.wait([task])
            assert len(await dumped_events(clinic, run_id)) == len(right["event"]), (
                "readers see all entries during a rebuild"
            )
            await clinic.rebuilder.rebuild(run_id)
            assert await dump(clinic.database) == right


async def dumped_events(clinic: Clinic, run_id: str) -> list[Any]:
    """The ids of the rows of entries."""
    [ids] = await clinic.database.run("SELECT VALUE id FROM event:[$id, 0]..=[$id, ..]", id=run_id)
    return list(ids)


async def test_what_only_the_mirror_has_is_held_against_itself(clinic: Clinic) -> None:
    """Without a history the mirror is verified by its own digests."""
    runs = {
        name: SampleRun(turns=2, run_id=f"{clinic.lab.settings.temporal_task_queue} {name}", status=RunStatus.COMPLETED)
        for name in ("whole", "an altered message", "an altered entry", "unreadable", "torn", "a run row")
    }
    for run in runs.values():
        await clinic.store.append(run.batch())
    changes = {
        "an altered message": ("message", [3], "UPDATE $row SET content = 'x'", "message 3: altered: content"),
        "an altered entry": (
            "event",
            [5],
            "UPDATE $row SET text = string::replace(text, 'the text', 'tha text')",
            "event 5: altered: text",
        ),
        "unreadable": ("event", [4], "UPDATE $row SET text = '{'", "event 4: altered: text"),
        "torn": ("event", [2], "DELETE $row", "event 2: missing"),
        "a run row": ("run", [], "UPDATE $row SET digest = 'x'", "run: altered: digest"),
    }
    async with clinic.worker():
        for name, (table, key, change, difference) in changes.items():
            run_id = runs[name].run_id
            await clinic.database.run(change, row=RecordID(table, [run_id, *key] if key else run_id))
            assert [str(each) for each in await clinic.differences(run_id)] == [difference], name
        assert await clinic.verdict(runs["whole"].run_id) == Verdict.MIRROR_ONLY
        with pytest.raises(RunNotFound):
            await clinic.verifier.verify("never heard of")
        unknown = await clinic.verifier.report("never heard of")
        assert unknown.verdict == Verdict.UNCHECKED, "one of many runs that is gone does not stop the others"
        with pytest.raises(RunNotFound):
            await clinic.rebuilder.rebuild(runs["torn"].run_id)
        assert {run_id async for run_id in clinic.finder.all_runs()} == {run.run_id for run in runs.values()}


async def test_a_quick_look_compares_the_head_and_the_run_row(clinic: Clinic) -> None:
    """`--quick` compares the run's row, and the number of entries and the newest one."""
    quick = Verifier(clinic.store, clinic.log, quick=True)
    async with clinic.worker():
        run_id = await clinic.walked(turns=2)
        assert (await quick.verify(run_id)).verdict == Verdict.HEALTHY
        await clinic.database.run("UPDATE $row SET content = 'x'", row=RecordID("message", [run_id, 1]))
        assert (await quick.verify(run_id)).verdict == Verdict.HEALTHY
        await clinic.database.run("DELETE $row", row=RecordID("event", [run_id, 2]))
        found = (await quick.verify(run_id)).differences
        assert [str(difference) for difference in found] == ["event 2: missing", "message 1: altered: content"]
        await clinic.rebuilder.rebuild(run_id)
        await clinic.database.run("UPDATE $row SET digest = 'x'", row=RecordID("run", run_id))
        found = (await quick.verify(run_id)).differences
        assert [str(difference) for difference in found] == ["run: altered: digest"]


async def test_finished_runs_are_verified_without_a_worker(clinic: Clinic) -> None:
    """Finished runs are verified without a worker."""
    async with clinic.worker():
        run_id = await clinic.walked(turns=2)
    assert await clinic.verdict(run_id) == Verdict.HEALTHY
    await clinic.database.run("UPDATE $row SET text = 'x'", row=RecordID("event", [run_id, 3]))
    assert [str(difference) for difference in await clinic.differences(run_id)] == ["event 3: altered: text"]


async def test_without_a_worker_nothing_is_reported_to_be_wrong(clinic: Clinic) -> None:
    """A run that only a worker could replay is not reported as damaged."""
    lab = clinic.lab
    lab.server.reply(Reply(text="A long way lies before me.", hang_after=1))
    async with clinic.worker():
        run = await lab.holdfast.start("walker", "Walk.")
        await lab.server.wait_for_requests(1, 60)
        await lab.client.get_workflow_handle(run.id).terminate("enough")
    verifier = Verifier(clinic.store, TemporalRunLog(lab.client, query_timeouts=(timedelta(seconds=1),)))
    assert (await verifier.verify(run.id)).verdict == Verdict.UNCHECKED


@pytest.mark.timeout(300)
async def test_a_run_that_was_continued_as_new_is_rebuilt_whole(short_histories: Lab) -> None:
    """A run with several executions is verified and rebuilt completely."""
    lab, database = short_histories, open_database("mem://")
    clinic = Clinic(lab, database, SurrealStore(database), TemporalRunLog(lab.client), is_server=False)
    async with clinic.worker():
        run_id = await clinic.walked(turns=60)
        description = await lab.client.get_workflow_handle(run_id).describe()
        assert description.run_id != description.raw_description.workflow_execution_info.first_run_id
        right = await dump(database)
        await database.run("UPDATE $row SET text = 'x'", row=RecordID("event", [run_id, 7]))
        assert [str(difference) for difference in await clinic.differences(run_id)] == ["event 7: altered: text"]
        await drop(clinic)
        assert (await clinic.rebuilder.rebuild(run_id)).written == len(right["event"])
        assert await dump(database) == right
    await database.close()
