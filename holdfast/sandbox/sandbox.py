"""Commands of models, run in bubblewrap, or directly if the operator wants it so."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

from typing_extensions import override

from holdfast.ports.sandbox import Command, CommandResult, SandboxProtocol, SandboxUnavailable, Stopped
from holdfast.sandbox import bubblewrap
from holdfast.sandbox.limits import MB, Limits, counts_per_namespace
from holdfast.sandbox.output import BoundedOutput
from holdfast.sandbox.supervisor import is_root

Mode = Literal["bwrap", "container", "off"]
"""`bwrap` confines commands with bubblewrap. `container` runs them directly, with limits and a clean environment: the
worker's container confines them. `off` runs them directly, with the worker's environment, and limits only their time
and output."""

PYTHON = str(Path(sys.executable).resolve())
SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))
STAGE = Path(__file__).with_name("stage.py")
ISOLATED = ("-I", "-S", "-B")  # options of Python: no site packages, no environment, no files written
MAX_OUTPUT = 64 * MB  # of one command, before it is killed: reading it costs the worker time
END_GRACE = 3.0  # seconds for the processes of a command to end after a cancel
SUPERVISOR_GRACE = 20.0  # seconds that the supervisor may take longer than the command
PROBE_SECONDS = 20.0
CHUNK = 64 * 1024  # bytes
SUFFIXES = {"shell": ".sh", "python": ".py"}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Sandbox(SandboxProtocol):
    """Runs commands in one of the modes; whether the mode works is checked before the first command."""

    def __init__(self, mode: Mode = "bwrap", limits: Limits | None = None, paths: Sequence[str] = ()) -> None:
        """
        Args:
            mode: how commands are confined.
            limits: what each command may use.
            paths: further files and folders that commands in bubblewrap can read, as absolute paths.
        """
        self.mode = mode
        self._limits = limits or Limits()
        self._paths = paths
        self._works = mode == "off"

    @override
    async def run(self, command: Command) -> CommandResult:
        if not self._works:
            await self._probe()
            self._works = True
        return await self._run(command)

    async def _probe(self) -> None:
        """Runs a command that does nothing, with the arguments of all others.

        Raises:
            SandboxUnavailable: it fails.
        """
        if sys.platform != "linux":
            bubblewrap.program() if self.mode == "bwrap" else _require_linux()
        with tempfile.TemporaryDirectory(prefix="holdfast-probe-", dir=temporary_folder()) as folder:
            found = await self._run(Command("exit 0", "shell", Path(folder), PROBE_SECONDS))
        if found.exit_code or found.stopped:
            reason = found.stopped or found.stderr.strip() or f"exit code {found.exit_code}"
            raise SandboxUnavailable(f"a command that does nothing failed in the sandbox: {reason}")

    async def _run(self, command: Command) -> CommandResult:
        temporary = None if self.mode == "bwrap" else tempfile.mkdtemp(prefix="holdfast-command-")
        try:
            request = await asyncio.to_thread(self._request, command, temporary)
        except BaseException:
            if temporary:
                shutil.rmtree(temporary, ignore_errors=True)
            raise
        return await _Call(request, command.seconds).result()

    def _request(self, command: Command, temporary: str | None) -> dict[str, Any]:
        """Returns what the supervisor does; see `supervisor.py`."""
        in_bwrap, is_limited = self.mode == "bwrap", self.mode != "off"
        folder = temporary or bubblewrap.TEMPORARY
        script = f"{folder}/command{SUFFIXES[command.language]}"
        shares_user = is_limited and not is_root() and not (in_bwrap and counts_per_namespace())
        stage = {
            "argv": [*_interpreter(command.language), script],
            "script": command.script,
            "script_file": script,
            "environment": _environment(folder) if is_limited else dict(os.environ),
            "limits": self._limits.of_process(shares_user=shares_user) if is_limited else {},
            "workspace": _identity(command.workspace),
        }
        return {
            "argv": [PYTHON, *ISOLATED, "-c", STAGE.read_text()],
            "stage": stage,
            "sandbox": self._bubblewrap(command) if in_bwrap else None,
            "own_user": bubblewrap.own_user() if in_bwrap else [],
            "workspace": str(command.workspace),
            "temporary": temporary,
            "seconds": command.seconds,
            "memory": self._limits.memory if is_limited else 0,
            "drops_root": is_limited,
            "limited": is_limited,
        }

    def _bubblewrap(self, command: Command) -> list[str]:
        return bubblewrap.arguments(command.workspace, command.hidden, self._paths, self._limits)


class _Call:
    """One process of the supervisor."""

    def __init__(self, request: dict[str, Any], seconds: float) -> None:
        self._request = request
        self._seconds = seconds
        self._output = BoundedOutput(), BoundedOutput()
        self._has_too_much_output = False

    async def result(self) -> CommandResult:
        """Runs the command.

        Raises:
            SandboxUnavailable: it could not begin.
        """
        status, status_end = os.pipe()
        try:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(PYTHON, *ISOLATED, SUPERVISOR, str(status_end)),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=PIPE,
                    pass_fds=(status_end,),
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
            finally:
                os.close(status_end)
            try:
                await asyncio.wait_for(self._follow(process), self._seconds + SUPERVISOR_GRACE)
            finally:
                await _end(process)
            return self._result(json.loads(os.read(status, CHUNK) or "{}"))
        finally:
            os.close(status)

    async def _follow(self, process: Process) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(self._request).encode() + b"\n")
        await asyncio.gather(
            self._collect(process, process.stdout, self._output[0]),
            self._collect(process, process.stderr, self._output[1]),
            process.wait(),
        )

    async def _collect(self, process: Process, stream: asyncio.StreamReader | None, output: BoundedOutput) -> None:
        assert stream is not None
        assert process.stdin is not None
        while data := await stream.read(CHUNK):
            output.add(data)
            if output.total > MAX_OUTPUT and not self._has_too_much_output:
                self._has_too_much_output = True
                process.stdin.close()

    def _result(self, status: dict[str, Any]) -> CommandResult:
        stdout, stderr = (output.text() for output in self._output)
        stopped: Stopped | None = "output" if self._has_too_much_output else status.get("stopped")
        exit_code = status.get("exit_code")
        if status.get("fault"):
            raise SandboxUnavailable(f"the command could not be started ({status['fault']})")
        if exit_code is None and not stopped:
            raise bubblewrap.fault(stderr) if self._request["sandbox"] else _lost(stderr)
        killed = 128 + 9
        return CommandResult(
            killed if exit_code is None else exit_code, stdout, stderr, round(status.get("seconds", 0.0), 3), stopped
        )


def temporary_folder() -> Path:
    """Returns the folder of temporary files, with all links resolved."""
    return Path(tempfile.gettempdir()).resolve()


def _lost(said: str) -> SandboxUnavailable:
    return SandboxUnavailable(f"the process that supervises the command failed ({said.strip()[-500:]})")


def _require_linux() -> None:
    raise SandboxUnavailable(
        "HOLDFAST_SANDBOX=container needs Linux: run the worker in a Linux container, or, if commands of models may do "
        "on this machine whatever you may do, set HOLDFAST_SANDBOX=off"
    )


async def _end(process: Process) -> None:
    """Ends the supervisor: it kills the command first, and is itself killed if it does not end."""
    if process.returncode is not None:
        return
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_GRACE)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _identity(folder: Path) -> list[int]:
    """Returns the device and the number of a folder, which no name on the way to it may have replaced with a link.

    Raises:
        SandboxUnavailable: one has.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if sys.platform == "linux" and Path(f"/proc/self/fd/{descriptor}").readlink() != folder:
            raise SandboxUnavailable("the workspace was replaced with a link while the command started")
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return [found.st_dev, found.st_ino]


@cache
def _interpreter(language: str) -> tuple[str, ...]:
    if language == "python":
        return (sys.executable,)
    return (shutil.which("bash", path=SYSTEM_PATH) or "/bin/sh",)


def _environment(temporary: str) -> dict[str, str]:
    """Returns the environment of commands, which has nothing of the worker's."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
        "HOME": temporary,
        "TMPDIR": temporary,
        "USER": "agent",
        "LANG": "C.UTF-8",
        "PYTHONPATH": ".",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
