"""Saved conversations: the file, which several processes write, and the table."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.client.conversation_file import ConversationFile
from holdfast.errors import PayloadUnreadable, StoreUnavailable, UsageError
from holdfast.ports.conversations import ConversationStore
from holdfast.storage.conversations import MemoryConversations, SurrealConversations
from holdfast.storage.conversations.conformance import SAMPLE, check_conversations
from holdfast.storage.database import open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.mirror import SurrealStore
from holdfast.storage.mirror.sample import SampleRun
from tests.support.databases import Databases
from tests.support.small_disk import small_disk

BACKENDS = ("memory", "surrealkv", "ws", "gateway")
RUNS, STATES = 5, 12
WRITER = """
import json, sys
from pathlib import Path
from holdfast.client.conversation_file import ConversationFile

file, process = ConversationFile(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for head in range(STATES):
    for run in range(RUNS):
        for name in (f"shared-{run}", f"{process}-{run}"):
            line = json.dumps({"run": name, "head": head, "text": "x" * 10_000})
            file.put(name, "chain", head, line.encode())
print("done", flush=True)
"""


@pytest.fixture(params=BACKENDS)
async def store(
    request: pytest.FixtureRequest, databases: Databases, tmp_path: Path
) -> AsyncIterator[ConversationStore]:
    """A store on each backend in turn; `gateway` goes through another owner of the database."""
    kind, url = str(request.param), f"surrealkv://{tmp_path}/shared"
    match kind:
        case "memory":
            yield MemoryConversations()
        case "gateway":
            holder, database = open_database(url, shared=True), open_database(url, shared=True)
            await holder.open()
            yield SurrealConversations(database)
            await database.close()
            await holder.close()
        case _:
            yield SurrealConversations(databases.new(kind))


async def test_the_latest_state_of_each_run_is_stored(store: ConversationStore) -> None:
    """Every backend keeps its promises."""
    await check_conversations(store)


async def test_a_row_is_encrypted_and_outlives_its_run(databases: Databases) -> None:
    """With a key, the table has no text that others can read; a deleted run leaves its conversation."""
    database, keys = databases.new("surrealkv"), KeyRing.parse(new_key())
    await check_conversations(SurrealConversations(database, keys))
    [rows] = await database.run("SELECT * FROM conversation")
    assert [row["text"].partition(":")[0] for row in rows] == ["sealed", "sealed"]
    assert all("messages" not in row["text"] for row in rows)
    with pytest.raises(PayloadUnreadable, match="HOLDFAST_ENCRYPTION_KEY is not set"):
        await SurrealConversations(database).get(SAMPLE.run_id)
    run = SampleRun(turns=1, run_id="other")
    mirror = SurrealStore(database, keys)
    await mirror.append(run.batch())
    await mirror.delete("other")
    assert await SurrealConversations(database, keys).get("other") is not None


def line(number: int, text: str = "x") -> bytes:
    return json.dumps({"messages": [text] * number}).encode()


def test_a_run_has_one_line(tmp_path: Path) -> None:
    """A longer conversation replaces its line in place, the same one changes nothing, and an earlier one neither."""
    path = tmp_path / "clerk.jsonl"
    file = ConversationFile(path)
    for run in ("a", "b", "c"):
        file.put(run, "chain", 1, line(1, run))
    assert path.read_bytes().splitlines() == [line(1, "a"), line(1, "b"), line(1, "c")]
    written = path.stat()
    file.put("a", "chain", 1, line(1, "a"))
    assert path.stat() == written
    file.put("b", "chain", 5, line(3, "b"))
    file.put("b", "chain", 4, line(2, "b"))
    assert path.read_bytes().splitlines() == [line(1, "a"), line(3, "b"), line(1, "c")]
    file.put("a", "another run of this id", 0, line(9, "a"))
    assert path.read_bytes().splitlines() == [line(9, "a"), line(3, "b"), line(1, "c")]
    for run in ("d", "e", "d"):
        file.put(run, "chain", 1, line(1, "the same words"))
    file.put("e", "chain", 2, line(2, "the same words"))
    assert sorted(path.read_bytes().splitlines()[3:]) == [line(2, "the same words"), line(1, "the same words")]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_of_others_stay(tmp_path: Path) -> None:
    """What people have written to the file stays, and a line that they have removed is appended again."""
    path = tmp_path / "clerk.jsonl"
    path.write_bytes(b'{"by": "hand"}\n\n{"no": "newline"}')
    file = ConversationFile(path)
    file.put("a", "chain", 1, line(1))
    assert path.read_bytes() == b'{"by": "hand"}\n\n{"no": "newline"}\n' + line(1) + b"\n"
    path.write_bytes(b'{"by": "hand"}\r\n')
    file.put("a", "chain", 1, line(1))
    assert path.read_bytes() == b'{"by": "hand"}\r\n' + line(1) + b"\n"
    (tmp_path / ".clerk.jsonl.runs").write_text("[damaged")
    file.put("b", "chain", 1, line(2))
    assert path.read_bytes().splitlines() == [b'{"by": "hand"}', line(1), line(2)]


def test_a_writer_that_died_between_two_steps_is_made_good(tmp_path: Path) -> None:
    """The index is written first: whether the line followed or not, the next attempt finds the run's line."""
    path, index = tmp_path / "clerk.jsonl", tmp_path / ".clerk.jsonl.runs"
    file = ConversationFile(path)
    file.put("a", "chain", 1, line(1))
    former = path.read_bytes()
    file.put("a", "chain", 2, line(2))
    path.write_bytes(former)  # as if the process had been killed before the line was replaced
    assert json.loads(index.read_text())["a"]["head"] == 2
    file.put("a", "chain", 2, line(2))
    assert path.read_bytes().splitlines() == [line(2)]
    path.write_bytes(former)
    file.put("a", "chain", 3, line(3))
    assert path.read_bytes().splitlines() == [line(3)]


@pytest.mark.parametrize("victim", [False, True])
def test_processes_write_one_file(tmp_path: Path, *, victim: bool) -> None:
    """Of several processes, none loses or doubles a line, also if one of them is killed in the middle."""
    path = tmp_path / "shared.jsonl"
    script = WRITER.replace("RUNS", str(RUNS)).replace("STATES", str(STATES))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        if victim:
            while not path.exists():
                assert processes[0].poll() in {None, 0}
            processes[0].kill()
        out = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert out[1] == "done\n"
    lines = [json.loads(each) for each in path.read_text().splitlines()]
    names = [each["run"] for each in lines]
    assert len(set(names)) == len(names)
    finished = [f"{name}-{run}" for name in ("shared", "two", *([] if victim else ["one"])) for run in range(RUNS)]
    assert {each["run"]: each["head"] for each in lines if each["run"] in finished} == dict.fromkeys(
        finished, STATES - 1
    )
    if not victim:
        assert sorted(names) == sorted(finished)


def test_threads_write_one_file(tmp_path: Path) -> None:
    """The lock holds between threads, too."""
    path = tmp_path / "clerk.jsonl"
    with ThreadPoolExecutor(8) as pool:
        made = [
            pool.submit(ConversationFile(path).put, f"run-{number % 10}", "chain", number, line(number))
            for number in range(60)
        ]
        for each in made:
            each.result()
    assert sorted(path.read_bytes().splitlines(), key=len) == [line(number) for number in range(50, 60)]


def test_what_is_not_such_a_file_is_refused(tmp_path: Path) -> None:
    """A folder, a device, a program: refused with the reason, and unchanged."""
    program = tmp_path / "agent.py"
    program.write_text("print()\n")
    for path, reason in [
        (tmp_path, "not a regular file"),
        (Path("/"), "not accepted"),
        (Path("a\0b"), "not accepted"),
        (Path("/dev/null"), "not a regular file"),
        (tmp_path / "missing" / "x.jsonl", "its folder does not exist"),
        (program, "not a file of JSON lines"),
        (tmp_path / ("x" * 300), "File name too long"),
        (program / "x.jsonl", "its folder does not exist"),
    ]:
        with pytest.raises(UsageError, match=reason):
            ConversationFile(path).put("a", "chain", 1, line(1))
    assert program.read_text() == "print()\n"
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "target.jsonl")
    ConversationFile(link).put("a", "chain", 1, line(1))
    assert link.is_symlink()
    assert (tmp_path / "target.jsonl").read_bytes() == line(1) + b"\n"


def test_a_full_disk_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    """The error says that the disk is full; when there is room again, the conversation is saved."""
    with small_disk(tmp_path / "disk", megabytes=2) as disk:
        path = disk.folder / "clerk.jsonl"
        file = ConversationFile(path)
        file.put("a", "chain", 1, line(1))
        file.put("b", "chain", 1, line(1, "y"))
        disk.fill(spare=2)
        long = line(1, "z" * 100_000)
        for run in ("a", "new"):
            with pytest.raises(StoreUnavailable, match="unchanged: No space left on device"):
                file.put(run, "chain", 2, long)
        assert path.read_bytes().splitlines() == [line(1), line(1, "y")]
        disk.free()
        for run in ("a", "new"):
            file.put(run, "chain", 2, long)
        assert path.read_bytes().splitlines() == [long, line(1, "y"), long]
        assert not list(disk.folder.glob("*.tmp"))


async def test_concurrent_rows_of_two_clients(databases: Databases) -> None:
    """Of two clients of a server, the later state stays, whoever writes last."""
    name = "conversations"
    clients = [SurrealConversations(databases.at("ws", name)) for _ in range(2)]
    states = [
        SAMPLE.__class__("run", "chain", "clerk", head, SAMPLE.at, head, f"{head}") for head in (*range(30), 29, 0)
    ]
    await asyncio.gather(*(clients[number % 2].put(state) for number, state in enumerate(states)))
    found = await clients[0].get("run")
    assert found is not None
    assert found.head == 29
