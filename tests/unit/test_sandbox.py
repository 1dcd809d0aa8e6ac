"""The sandbox: what commands of a model can see and use, what they are told, and that nothing of them remains."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.agents.tool import ToolContext, ToolError
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.sandbox import Mode, Sandbox, bubblewrap
from holdfast.tools import run_python, run_shell
from holdfast.types import ToolResult
from tests.support.sandboxes import LIMITED, LOCK, is_held, working

MB = 1024 * 1024
PROCESSES = 32

LOOK_AROUND = """
import os, socket, sys
seen = []
for folder, folders, files in os.walk({home!r}):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in {python}]
    seen += files
for path in {paths}:
    try:
        seen.append(os.listdir(path) if os.path.isdir(path) else open(path).read())
    except OSError:
        pass
for family, address in [(socket.AF_UNIX, {unix!r}), (socket.AF_UNIX, {abstract!r}), (socket.AF_INET, {tcp})]:
    try:
        socket.socket(family).connect(address)
        seen.append(address)
    except OSError:
        pass
print(seen, sorted(os.environ))
"""
FORK_BOMB = f"""
import fcntl, os, time
lock = open({LOCK!r}, "w")
fcntl.flock(lock, fcntl.LOCK_EX)
made, end = 0, time.monotonic() + 8
try:
    while made < 300 and time.monotonic() < end:  # so that it ends, whatever becomes of the limit
        if os.fork() == 0:
            os.setsid()
            time.sleep(30)
            os._exit(0)
        made += 1
except BlockingIOError:
    print("refused after", made)
"""
MEMORY_BOMB = f"""
import fcntl, mmap, os, time
lock = open({LOCK!r}, "w")
fcntl.flock(lock, fcntl.LOCK_EX)
try:
    alone = [bytearray({16 * MB}) for _ in range(20)]
except MemoryError:
    print("refused", flush=True)
for _ in range(12):
    if os.fork() == 0:
        shared = mmap.mmap(-1, {16 * MB})
        shared.write(b"x" * {16 * MB})
        time.sleep(30)
        os._exit(0)
time.sleep(10)
"""


def context(workspace: Path, sandbox: Sandbox, roots: WorkspaceRoots | None = None) -> ToolContext:
    """The context of a call."""
    return ToolContext(
        run_id="r", call_id="c", agent="a", turn=1, attempt=1, workspace=workspace, sandbox=sandbox, roots=roots
    )


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def mode_of(file: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(file.stat().st_mode)


def owners(folder: Path) -> set[int]:
    """The users to whom a folder and everything in it belong."""
    return {path.stat().st_uid for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def without_bwrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The only folder on PATH, without bubblewrap in it."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    bubblewrap.program.cache_clear()
    yield folder
    bubblewrap.program.cache_clear()


def listening(family: socket.AddressFamily, address: object) -> socket.socket:
    """A socket that accepts connections."""
    listener = socket.socket(family)
    listener.bind(address)  # type: ignore[arg-type] # of either family
    listener.listen()
    return listener


async def python(code: str, workspace: Path, sandbox: Sandbox, seconds: float = 20) -> ToolResult:
    """The result of a program."""
    return await run_python(code, seconds, context=context(workspace, sandbox))


# --- what commands see -----------------------------------------------------------------------------------------------


async def test_sandbox_sees_no_home_env_socket(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program sees no home, no file outside of the workspace, no variable of the worker, and reaches no socket."""
    sandbox = await working("bwrap")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    paths = [str(secret), str(tmp_path), "/run", "/var", "/sys", "/etc/shadow", "/etc/hosts"]
    abstract = f"\0holdfast-{os.getpid()}"
    addresses = [(socket.AF_UNIX, str(tmp_path / "s")), (socket.AF_UNIX, abstract), (socket.AF_INET, ("127.0.0.1", 0))]
    listeners = [listening(family, address) for family, address in addresses]
    code = LOOK_AROUND.format(
        home=str(Path.home()),
        python=bubblewrap.python_folders(),
        paths=paths,
        unix=str(tmp_path / "s"),
        abstract=abstract,
        tcp=listeners[2].getsockname(),
    )
    result = await python(code, workspace, sandbox)
    for listener in listeners:
        listener.close()
    seen, _, variables = result.content.partition("stdout:\n")[2].partition("] ")
    assert seen == "[", result.content
    assert "OPENAI_API_KEY" not in variables
    assert "exit code 0" in result.content


async def test_secrets_of_a_workspace_are_hidden(workspace: Path) -> None:
    """Commands can neither read nor change files that usually hold secrets, nor the worker's state folder."""
    sandbox = await working("bwrap")
    state = workspace / ".holdfast"
    for path in (workspace / "sub" / ".env", workspace / ".git" / "config", state / "surrealdb" / "data"):
        path.parent.mkdir(parents=True)
        path.write_text("SECRET")
    (workspace / "link").symlink_to("sub/.env")
    roots = WorkspaceRoots([workspace], state)
    result = await run_shell(
        "cat sub/.env link; grep -r SECRET .; echo x > sub/.env; rm -rf .git .holdfast; echo y > made; ls -A .git",
        context=context(workspace, sandbox, roots),
    )
    assert "SECRET" not in result.content
    assert result.files == ["made"]
    assert (workspace / "sub" / ".env").read_text() == (state / "surrealdb" / "data").read_text() == "SECRET"


async def test_environment_in_a_container_is_clean(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In mode `container`, a command has no variable of the worker; with `off`, it has all of them."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    told: dict[Mode, str] = {}
    for mode in ("container", "off"):
        result = await run_shell("env", context=context(workspace, await working(mode)))
        told[mode] = result.content
    assert "secret" not in told["container"]
    assert "OPENAI_API_KEY=secret" in told["off"]


# --- what commands can use -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", LIMITED)
async def test_fork_bomb_ends_as_root(workspace: Path, mode: Mode) -> None:
    """A program cannot start more processes than the limit, also if the worker is root, and none of them remains."""
    sandbox = await working(mode, processes=PROCESSES)
    result = await python(FORK_BOMB, workspace, sandbox)
    made = int(result.content.partition("refused after ")[2].split()[0])
    assert 0 < made < PROCESSES
    assert not is_held(workspace)


@pytest.mark.parametrize("mode", LIMITED)
async def test_memory_bomb_ends(workspace: Path, mode: Mode) -> None:
    """One process cannot allocate more than the limit; several that do so together are killed."""
    sandbox = await working(mode, memory=128 * MB)
    result = await python(MEMORY_BOMB, workspace, sandbox)
    assert result.error is not None
    assert result.error.startswith("killed, as its processes together used more memory")
    assert "refused" in result.error
    assert not is_held(workspace)


async def test_files_and_computing_are_limited(workspace: Path) -> None:
    """A file cannot grow beyond the limit, and a process cannot compute for longer than the limit."""
    sandbox = await working("container", file_size=MB, cpu_seconds=1)
    big = await run_shell("head -c 5000000 /dev/zero > big; ls -l big", context=context(workspace, sandbox))
    assert str(MB) in big.content
    spinning = await run_shell("while :; do :; done", context=context(workspace, sandbox))
    assert spinning.content.startswith(f"exit code {128 + 9}")


# --- what is reported ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", LIMITED)
async def test_result_says_what_a_command_did(workspace: Path, mode: Mode) -> None:
    """The result has the exit code, both streams, and which files are new, changed or gone; they belong to the owner
    of the workspace, whom no program there may become.
    """
    sandbox = await working(mode)
    for name in ("old.txt", "gone.txt", "same.txt"):
        (workspace / name).write_text(name)
    script = "echo out; echo err >&2; mkdir a; echo new > a/new.txt; echo more >> old.txt; rm gone.txt"
    script += "; chmod 4755 same.txt; exit 3"
    result = await run_shell(script, context=context(workspace, sandbox))
    lines = result.content.splitlines()
    assert lines[0].startswith("exit code 3 after ")
    assert lines[1:] == [
        "stdout:",
        "out",
        "stderr:",
        "err",
        "written: a/new.txt, old.txt, same.txt",
        "deleted: gone.txt",
    ]
    assert result.files == ["a/new.txt", "old.txt", "same.txt"]
    assert len(owners(workspace)) == 1
    assert mode_of(workspace / "same.txt") == 0o755


async def test_long_output_is_cut_with_a_remark(workspace: Path) -> None:
    """Of long output, the beginning and the end are kept, and the result says how much is missing."""
    sandbox = await working("container")
    result = await run_shell("seq 1 20000", context=context(workspace, sandbox))
    assert len(result.content) < 40_000
    assert "\n1\n2\n" in result.content
    assert "19999\n20000" in result.content
    assert "78,894 bytes were left out here: write long output to a file" in result.content
    endless = await run_shell("yes", context=context(workspace, sandbox))
    assert endless.error is not None
    assert endless.error.startswith("killed, as it wrote too much output")


async def test_command_that_takes_too_long_is_killed(workspace: Path) -> None:
    """A command is killed after its time, with everything that it started; the result has its output so far."""
    sandbox = await working("container")
    script = f"exec 9>{LOCK}; flock 9; echo begun; (setsid sleep 30 &) ; sleep 30"
    result = await run_shell(script, 0.7, context=context(workspace, sandbox))
    assert result.error is not None
    assert result.error.startswith("killed, as it did not end within 0.7 s; pass more seconds")
    assert "begun" in result.error
    assert not is_held(workspace)


# --- where no command can run ----------------------------------------------------------------------------------------


async def test_without_bwrap_refuses_and_names_package(workspace: Path, without_bwrap: Path) -> None:
    """Without bubblewrap nothing runs; the error names the package to the operator, and asks the model to continue."""
    with pytest.raises(ToolError) as refused:
        await run_shell("echo ran > ran", context=context(workspace, Sandbox()))
    said = str(refused.value)
    assert "apt-get install bubblewrap" in said
    assert "HOLDFAST_SANDBOX=container" in said
    assert "continue without commands" in said
    assert names(workspace) == []


@pytest.mark.parametrize(
    "fault",
    [
        "bwrap: No permissions to create new namespace, likely because the kernel does not allow it",
        "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
        "bwrap: execvp /usr/bin/python3: No such file or directory",
    ],
)
async def test_broken_bwrap_refuses_with_its_reason(workspace: Path, without_bwrap: Path, fault: str) -> None:
    """If bubblewrap cannot confine a command, it does not run; the error has the reason and what can be done."""
    program = without_bwrap / "bwrap"
    program.write_text(f'#!/bin/sh\n[ "$1" = --help ] || echo "{fault}" >&2\nexit 1\n')
    program.chmod(0o755)
    with pytest.raises(ToolError) as refused:
        await run_shell("echo ran > ran", context=context(workspace, Sandbox()))
    assert fault in str(refused.value)
    assert "HOLDFAST_SANDBOX=container" in str(refused.value)
    assert names(workspace) == []
