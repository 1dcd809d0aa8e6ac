"""A call of the supervisor, which runs one command."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from holdfast.ports.sandbox import CommandResult, SandboxUnavailable, Stopped
from holdfast.sandbox import bubblewrap
from holdfast.sandbox.limits import MB
from holdfast.sandbox.output import BoundedOutput

PYTHON = str(Path(sys.executable).resolve())
ISOLATED = ("-I", "-S", "-B")  # options of Python: no site packages, no environment, no files written
SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))
MAX_OUTPUT = 64 * MB  # of one command, before it is killed: reading it costs the worker time
SUPERVISOR_GRACE = 20.0  # seconds that the supervisor may take longer than the command
END_GRACE = 3.0  # seconds for the processes of a command to end after a cancel
STREAMS_GRACE = 1.0  # seconds for the streams to end after the supervisor, unless a process has escaped it
CHUNK = 64 * 1024  # bytes
KILLED = 128 + 9  # the exit code of a process that SIGKILL has ended


class SupervisedCall:
    """One process of the supervisor, with its request; see `supervisor.py`."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._output = BoundedOutput(), BoundedOutput()
        self._has_too_much_output = False

    async def result(self) -> CommandResult:
        """Runs the command; if the caller is cancelled, its processes are killed first.

        Raises:
            SandboxUnavailable: it could not begin.
        """
        reading, writing = os.pipe()
        async with _stream(reading) as status:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(PYTHON, *ISOLATED, SUPERVISOR, str(writing)),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=PIPE,
                    pass_fds=(writing,),
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
            finally:
                os.close(writing)
            try:
                said = await self._follow(process, status)
            finally:
                await _end(process)
        return self._result(json.loads(said or '{"exit_code": null, "stopped": "lost"}'))

    async def _follow(self, process: Process, status: asyncio.StreamReader) -> bytes:
        """Returns what the supervisor says at its end."""
        assert process.stdin is not None
        process.stdin.write(json.dumps(self._request).encode() + b"\n")
        streams = zip((process.stdout, process.stderr), self._output, strict=True)
        readers = [asyncio.create_task(self._collect(process, *stream)) for stream in streams]
        try:
            said = await asyncio.wait_for(status.read(), self._request["seconds"] + SUPERVISOR_GRACE)
            await asyncio.wait(readers, timeout=STREAMS_GRACE)
        except TimeoutError:  # processes do not end, as they wait for a device
            return b""
        finally:
            for reader in readers:
                reader.cancel()
        return said

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
        exit_code = status["exit_code"]
        if status.get("fault"):
            raise SandboxUnavailable(f"the command could not be started ({status['fault']})")
        if exit_code is None and not stopped:
            raise (
                bubblewrap.fault(stderr)
                if self._request["sandbox"]
                else SandboxUnavailable(f"the process that supervises the command failed ({stderr.strip()[-500:]})")
            )
        code = KILLED if exit_code is None else exit_code
        return CommandResult(code, stdout, stderr, round(status.get("seconds", 0.0), 3), stopped)


@asynccontextmanager
async def _stream(descriptor: int) -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    try:
        yield reader
    finally:
        transport.close()


async def _end(process: Process) -> None:
    """Ends the supervisor: it kills the command first, and is itself killed if it does not end."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_GRACE)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
