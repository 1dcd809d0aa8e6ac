"""Parts of the stack: processes, ports, locks, the state file, the worker's settings."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from holdfast.budgets import DayBudget
from holdfast.cli.render.output import Output
from holdfast.cli.stack_notices import warn_of_worker
from holdfast.errors import SettingsError
from holdfast.pricing import ModelPrice
from holdfast.settings import Settings
from holdfast.stack import WorkerComparison, part_locks, process, sockets, status, ui_url, worker
from holdfast.stack.locks import is_locked, locked, try_lock
from holdfast.stack.part_locks import PartRunning, claimed, holder, lock_path
from holdfast.stack.state import Part, StackState, StateFile
from holdfast.temporal import visibility
from tests.support.small_disk import small_disk

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
OBEDIENT = "import time; print('here', flush=True); time.sleep(60)"


def start(folder: Path, code: str, *keep: int) -> Part:
    """Starts a Python program as the stack starts its parts, and waits until it has written a line."""
    log = folder / "logs" / "model.log"
    command = [sys.executable, "-c", code]
    part = Part.started("model", process.spawn(command, log, os.environ, keep=keep), log, command=command)
    while process.size(log) == 0:
        assert part.is_alive, process.tail(log)
        os.sched_yield()
    return part


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Part]:
    """A process of the kind that the stack starts."""
    part = start(tmp_path, OBEDIENT)
    yield part
    asyncio.run(process.kill(part.pid, part.born))


def test_a_run_is_told_that_the_model_server_is_old(sleeper: Part, capsys: pytest.CaptureFixture[str]) -> None:
    """Before a run, a command says that the scripted model server answers with older code, and what restarts it."""
    compared = WorkerComparison(sleeper, [], [], None, outdated_model="its code has changed: assistant.py")
    warn_of_worker(Output(), compared, runs=False)
    assert capsys.readouterr().err == ""
    warn_of_worker(Output(), compared, runs=True)
    said = " ".join(capsys.readouterr().err.split())
    assert "model server answers with older code: its code has changed: assistant.py. `holdfast up` restarts it" in said


async def test_a_process_is_known_until_it_ends(sleeper: Part) -> None:
    """A process is recognised until it ends; a zombie counts as ended."""
    assert process.is_alive(sleeper.pid, sleeper.born)
    assert await process.stop(sleeper.pid, sleeper.born, grace_seconds=10)
    assert not sleeper.is_alive
    assert process.birth(sleeper.pid) is None


async def test_another_process_with_the_same_pid_is_left_alone(sleeper: Part) -> None:
    """Another process with a recycled pid is never stopped."""
    stranger = sleeper.model_copy(update={"born": "another boot:1"})
    assert not stranger.is_alive
    assert await process.stop(stranger.pid, stranger.born, grace_seconds=0.1)
    await process.kill(stranger.pid, stranger.born)
    assert sleeper.is_alive


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """The end of a log names a full disk, which may be why a part ended without a word."""
    with small_disk(tmp_path / "disk", 2) as disk:
        log = disk.folder / "temporal.log"
        log.touch()
        assert "full" not in process.tail(log)
        disk.fill()
        assert process.tail(log).endswith(f"(the disk of {disk.folder} is full)")


def test_ps_tells_processes_apart_where_there_is_no_proc(sleeper: Part) -> None:
    """Without /proc, processes are recognised by `ps`."""
    born = process._birth_from_ps(sleeper.pid)
    assert born is not None
    assert process._birth_from_ps(os.getpid()) is not None
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
    assert process._birth_from_ps(sleeper.pid) is None


async def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed."""
    part = start(tmp_path, STUBBORN)
    assert not await process.stop(part.pid, part.born, grace_seconds=0.1)
    assert not part.is_alive


async def test_processes_outlive_the_terminal(sleeper: Part) -> None:
    """Processes of the stack survive Ctrl-C and a closed terminal."""
    assert os.getsid(sleeper.pid) == sleeper.pid
    assert os.getpgid(sleeper.pid) != os.getpgid(0)


def test_a_large_log_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large log is rotated."""
    monkeypatch.setattr(process, "LOG_LIMIT", 10)
    log = tmp_path / "logs" / "model.log"
    log.parent.mkdir()
    log.write_text("more than ten bytes\n")
    part = start(tmp_path, OBEDIENT)
    asyncio.run(process.kill(part.pid, part.born))
    assert log.read_text() == "here\n"
    assert log.with_suffix(".old.log").read_text() == "more than ten bytes\n"


def test_a_tail_shows_the_last_lines_of_this_start(tmp_path: Path) -> None:
    """An error shows only the last lines that this start has written."""
    log = tmp_path / "a.log"
    assert "no log" in process.tail(log)
    log.write_text("of before\n")
    since = process.size(log)
    assert "nothing" in process.tail(log, since)
    with log.open("a") as stream:
        stream.writelines(f"line {number}\n" for number in range(100))
    assert process.tail(log, since, lines=2) == "  line 98\n  line 99"
    assert "of before" not in process.tail(log, since, lines=1000)


def test_a_port_that_is_taken_is_passed_over() -> None:
    """A port in use is skipped."""
    with socket.create_server((sockets.LOOPBACK, 0)) as other:
        taken: int = other.getsockname()[1]
        assert not sockets.is_free(taken)
        assert sockets.answers(taken)
        chosen = sockets.choose(taken)
        assert chosen != taken
        assert sockets.choose(chosen, {chosen}) != chosen
    assert sockets.choose(taken) == taken


async def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    """Two commands at once take turns."""
    path = tmp_path / "a.lock"
    events: list[str] = []
    waits = asyncio.Event()

    async def second() -> None:
        async with locked(path, waits.set):
            events.append("second works")

    assert not is_locked(path)
    async with locked(path, lambda: events.append("never")):
        assert is_locked(path)
        waiting = asyncio.create_task(second())
        await waits.wait()
        events.append("first ends")
    await waiting
    assert events == ["first ends", "second works"]
    assert not is_locked(path)


def claim(folder: Path, code: str = OBEDIENT) -> Part:
    """Starts a program with the claim of the model server."""
    with claimed(folder, "model") as lock:
        part = start(folder, code, lock.descriptor)
        lock.record(part.model_dump(mode="json"))
    return part


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim is waited for only briefly."""
    monkeypatch.setattr(part_locks, "RELEASE_TIMEOUT", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_a_claim_lasts_as_long_as_its_process(tmp_path: Path) -> None:
    """A part's claim lasts as long as its process, without the state file too, and describes it."""
    part = claim(tmp_path)
    with pytest.raises(PartRunning, match=f"process {part.pid} holds"):
        claim(tmp_path)
    assert StateFile(tmp_path).read().parts["model"] == part
    await process.kill(part.pid, part.born)
    assert holder(tmp_path, "model") is None
    again = claim(tmp_path)
    await process.kill(again.pid, again.born)


@pytest.mark.usefixtures("impatient")
async def test_an_interrupted_start_keeps_its_claim(tmp_path: Path) -> None:
    """A process whose start was interrupted before it was recorded is found, and no second one is started."""
    with claimed(tmp_path, "model") as lock:
        part = start(tmp_path, OBEDIENT, lock.descriptor)
    assert holder(tmp_path, "model") == {"pid": part.pid, "born": part.born}
    with pytest.raises(PartRunning, match=f"process {part.pid} holds"):
        claim(tmp_path)
    found = StateFile(tmp_path).read().alive("model")
    assert found is not None
    await process.kill(found.pid, found.born)
    assert not part.is_alive


@pytest.mark.usefixtures("impatient")
async def test_a_child_that_outlives_a_part_does_not_keep_its_claim(tmp_path: Path) -> None:
    """A process that a part has forked, and that outlives it, does not prevent the next start."""
    code = "import os, time; child = os.fork(); print(child, flush=True) if child else None; time.sleep(60)"
    part = claim(tmp_path, code)
    child = int(part.log.read_text())
    try:
        await process.kill(part.pid, part.born)
        assert is_locked(lock_path(tmp_path, "model"))
        again = claim(tmp_path)
        assert holder(tmp_path, "model") is not None
        await process.kill(again.pid, again.born)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("hostile", ["link", "folder", "open"])
def test_a_lock_that_others_could_hold_is_refused_or_closed(tmp_path: Path, hostile: str) -> None:
    """A lock never follows a symbolic link, and nobody else can open its file."""
    path, elsewhere = tmp_path / "a.lock", tmp_path / "elsewhere"
    if hostile == "link":
        path.symlink_to(elsewhere)
    elif hostile == "folder":
        path.mkdir()
    else:
        path.touch(mode=0o666)
        path.chmod(0o666)
    if hostile == "open":
        descriptor = try_lock(path)
        assert descriptor is not None
        os.close(descriptor)
        assert path.stat().st_mode & 0o777 == 0o600
    else:
        with pytest.raises(SettingsError, match=r"a\.lock cannot be used as a lock: "):
            try_lock(path)
    assert not elsewhere.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user takes root")
def test_a_lock_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that belongs to another user, who could hold it for ever, is refused."""
    path = tmp_path / "a.lock"
    path.touch()
    os.chown(path, 12345, 12345)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(SettingsError, match=r"belongs to another user \(uid 12345\)"):
        try_lock(path)


def test_the_state_is_remembered(tmp_path: Path, sleeper: Part) -> None:
    """The next command finds what this one has started."""
    file = StateFile(tmp_path)
    assert file.read() == StackState()
    state = StackState(parts={"model": sleeper})
    state.ports["ui"] = 4711
    file.write(state)
    assert file.read() == state
    assert file.read().alive("model") == sleeper
    assert file.read().alive("worker") is None
    assert [path.name for path in tmp_path.glob("stack*")] == ["stack.json"]
    assert file.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", '{"ports": {"temp', '{"parts": 3}', '{"a later version": 1}', "\x00" * 50])
def test_a_damaged_state_file_is_set_aside(tmp_path: Path, text: str) -> None:
    """A damaged state file is moved aside."""
    file = StateFile(tmp_path)
    file.path.write_text(text)
    assert file.read() == StackState()
    aside = file.set_damaged_aside()
    assert aside is not None
    assert aside.read_text() == text
    assert file.set_damaged_aside() is None


def test_a_state_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """An unusable HOLDFAST_HOME is named."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    with pytest.raises(
        SettingsError, match=r"HOLDFAST_HOME=\S+file/home cannot be used as the state folder: Not a dir"
    ):
        Settings(holdfast_home=in_the_way / "home").prepare_home()


def test_the_workers_environment_is_what_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker gets the settings of the command that starts it."""
    monkeypatch.setenv("SOMETHING_ELSE", "stays")
    monkeypatch.setenv("TEMPORAL_API_KEY", "of another server")
    monkeypatch.setenv("SURREALDB_URL", "mem://")
    settings = Settings(
        holdfast_home=tmp_path,
        holdfast_agents=("a.b", "c"),
        openai_api_key=SecretStr("k"),
        max_concurrent_agents=3,
        reconcile_interval=0,
        retention=timedelta(days=90),
        surrealdb_url=None,
        model_prices={"m": ModelPrice(input=1, output=2)},
        budgets={"tag:team=search": DayBudget(cost_usd_per_day=5)},
    )
    variables = worker.environment(settings, "127.0.0.1:1", None)
    expected = {
        "SOMETHING_ELSE": "stays",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
        "HOLDFAST_HOME": str(tmp_path),
        "HOLDFAST_AGENTS": "a.b,c",
        "OPENAI_API_KEY": "k",
        "MAX_CONCURRENT_AGENTS": "3",
        "RETENTION": "90d",
    }
    assert variables.items() >= expected.items()
    assert "HOLDFAST_SCRIPTED" not in variables
    assert "TEMPORAL_API_KEY" not in variables, "the local server has neither keys nor TLS"
    monkeypatch.setattr(os, "environ", variables)
    assert "SURREALDB_URL" not in variables
    assert Settings() == settings.model_copy(update={"temporal_address": "127.0.0.1:1"})


def test_without_a_model_the_worker_is_told_of_the_scripted_one(tmp_path: Path) -> None:
    """Without a configured model the worker uses the scripted one."""
    variables = worker.environment(Settings(holdfast_home=tmp_path), "127.0.0.1:1", "http://127.0.0.1:2/v1")
    assert variables["HOLDFAST_SCRIPTED"] == "1"
    assert variables["OPENAI_BASE_URL"] == "http://127.0.0.1:2/v1"


@dataclass(frozen=True)
class Change:
    """Other settings, and what must be seen to differ."""

    name: str
    changed: Settings


CHANGES = [
    Change("OPENAI_API_KEY", Settings(openai_api_key=SecretStr("another"))),
    Change("OPENAI_MODEL", Settings(openai_model="large")),
    Change("SURREALDB_URL", Settings(surrealdb_url="mem://")),
    Change("SURREALDB_PASSWORD", Settings(surrealdb_password=SecretStr("p"))),
    Change("HOLDFAST_AGENTS", Settings(holdfast_agents=("mine",))),
    Change("WORKSPACE_ROOTS", Settings(workspace_roots=("/srv",))),
    Change("TEMPORAL_TASK_QUEUE", Settings(temporal_task_queue="other")),
    Change("LOG_LEVEL", Settings(log_level="DEBUG")),
    Change("MAX_CONCURRENT_AGENTS", Settings(max_concurrent_agents=2)),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_changed_setting_is_seen_and_not_written_down(change: Change) -> None:
    """Changed settings are detected without storing their values."""
    before = worker.fingerprint(Settings(), ["worker"], "127.0.0.1:1", None)
    after = worker.fingerprint(change.changed, ["worker"], "127.0.0.1:1", None)
    assert worker.changes(before, before) == []
    assert worker.changes(before, after) == [change.name]
    assert all(len(digest) == worker.FINGERPRINT_LENGTH for digest in after.values())


def test_an_interpreter_has_several_names(tmp_path: Path) -> None:
    """A program that `python` runs, and the command `holdfast`, which names `python3.11`, mean the same worker."""

    def fingerprint(name: str) -> dict[str, str]:
        return worker.fingerprint(Settings(), [str(tmp_path / name), "-m", "holdfast"], "127.0.0.1:1", None)

    for environment in ("one", "two"):
        (tmp_path / environment).mkdir()
        (tmp_path / environment / "python3.11").symlink_to(sys.executable)
        (tmp_path / environment / "python").symlink_to("python3.11")
    before = fingerprint("one/python")
    assert worker.changes(before, fingerprint("one/python3.11")) == []
    assert worker.changes(before, fingerprint("two/python")) == ["worker program"]


def test_another_folder_is_another_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of agents, and workspaces by default, are in the current folder of the command that starts the worker."""

    def fingerprint(settings: Settings) -> dict[str, str]:
        return worker.fingerprint(settings, ["worker"], "127.0.0.1:1", None)

    home = tmp_path / "home"
    free, fixed = Settings(holdfast_home=home), Settings(holdfast_home=home, workspace_roots=("/srv",))
    before, before_fixed = fingerprint(free), fingerprint(fixed)
    monkeypatch.chdir(tmp_path)
    assert worker.changes(before, fingerprint(free)) == [worker.FOLDER]
    assert worker.changes(before_fixed, fingerprint(fixed)) == []


def test_a_module_of_the_package_is_run_wherever_one_stands(tmp_path: Path) -> None:
    """A user's packages take precedence over those next to the package in a checkout, and no file of theirs runs."""
    (tmp_path / "installed" / "workflows").mkdir(parents=True)
    (tmp_path / "installed" / "workflows" / "__init__.py").write_text("MINE = True")
    (tmp_path / "holdfast.py").write_text("raise SystemExit('ran a file of the current folder')")
    code = "import sys, workflows; assert workflows.MINE; print(*sys.argv[1:])"
    command = process.module_command("holdfast.scripted.model", "--help")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "python -m holdfast.scripted.model" in done.stdout

    (tmp_path / "installed" / "peek.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    command = process.module_command("peek", "a", "--b")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "a --b\n"


def test_the_ui_is_unknown_when_temporal_is_not_ours(tmp_path: Path, sleeper: Part) -> None:
    """There is no link to a UI unless Temporal is part of the stack."""
    settings = Settings(holdfast_home=tmp_path)
    assert ui_url(settings, "r") is None
    state = StackState(parts={"temporal": sleeper.model_copy(update={"name": "temporal", "address": "127.0.0.1:1"})})
    StateFile(tmp_path).write(state)
    assert ui_url(settings, "a/b c") == "http://127.0.0.1:8233/namespaces/default/workflows/a%2Fb%20c"
    assert ui_url(settings.model_copy(update={"temporal_address": "elsewhere:7233"}), "r") is None


async def test_the_status_of_nothing(tmp_path: Path) -> None:
    """`status` works where nothing runs, and changes nothing."""
    home = tmp_path / "home"
    found = await status(Settings(holdfast_home=home, surrealdb_url="wss://me:secret@db.example/rpc"))
    assert [(part.name, part.state) for part in found.parts] == [
        ("temporal", "stopped"),
        ("model", "stopped"),
        ("worker", "stopped"),
    ]
    assert found.scripted
    assert found.store_url == "wss://db.example/rpc"
    assert found.store_locked is None
    assert not home.exists()


def test_the_command_that_adds_search_attributes() -> None:
    """The command shown for search attributes is correct."""
    assert visibility.command(["AgentName", "AgentCostUsd"], "my ns") == (
        "temporal operator search-attribute create --namespace 'my ns' "
        "--name AgentName --type Keyword --name AgentCostUsd --type Double"
    )
    assert visibility.command(["AgentTags"], "default", "temporal.example:7233") == (
        "temporal operator search-attribute create --namespace default --address temporal.example:7233 "
        "--name AgentTags --type KeywordList"
    )
