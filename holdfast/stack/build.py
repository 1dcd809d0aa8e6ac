"""Gets a Temporal development server: the SDK's download, or a build with Go from pinned sources."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.stack.commands import CommandFailed, run
from holdfast.stack.progress import Report, ticking

MODULE = Path(__file__).with_name("temporal")
"""Folder of the go.mod and go.sum that pin the server and all that it is made of, by checksum."""
PROGRAM = "github.com/temporalio/cli/cmd/temporal"

DOWNLOAD_TIMEOUT = 180.0  # seconds; 60 MB over a slow line. A closed network fails at once or never answers
BUILD_TIMEOUT = 1800.0  # seconds; two to four minutes on two cores, with all sources still to be fetched


@dataclass(frozen=True)
class Pinned:
    """Versions that go.mod names."""

    go: str
    cli: str
    server: str


def pinned() -> Pinned:
    """What a build with Go would give."""
    text = (MODULE / "go.mod").read_text()

    def version(pattern: str) -> str:
        match = re.search(rf"^\s*{pattern}(\S+)", text, re.MULTILINE)
        if match is None:
            raise ValueError(f"{MODULE / 'go.mod'} does not name {pattern!r}")
        return match.group(1)

    return Pinned(version("go "), version("github.com/temporalio/cli v"), version("go.temporal.io/server v"))


async def download(cache: Path, report: Report) -> Path:
    """Has the SDK download its server into a new folder of the cache; gives the program's path.

    Raises:
        CommandFailed: nothing came.
    """
    folder = Path(tempfile.mkdtemp(prefix=".download-", dir=cache))
    command = [sys.executable, "-P", str(Path(__file__).with_name("download.py")), str(folder)]
    failure = CommandFailed("it left nothing")
    try:
        async with ticking("downloading a Temporal server", lambda: "", report):
            await run(command, timeout=DOWNLOAD_TIMEOUT)
    except CommandFailed as error:
        failure = error  # judged by what is there: the SDK's native part may abort after its work is done
    program = _only_program(folder)
    if program:
        return program
    shutil.rmtree(folder, ignore_errors=True)
    raise CommandFailed(str(failure).strip().splitlines()[-1].strip()) from failure


def _only_program(folder: Path) -> Path | None:
    programs = [file for file in folder.iterdir() if file.is_file() and os.access(file, os.X_OK)]
    return programs[0] if len(programs) == 1 else None


async def compile_server(go: str, cache: Path, report: Report) -> Path:
    """Builds the pinned server in a new folder of the cache; gives the program's path.

    Raises:
        CommandFailed: Go is too old, the sources cannot be fetched, or the build failed.
    """
    versions = pinned()
    folder = Path(tempfile.mkdtemp(prefix=".build-", dir=cache))
    counter = _Counter()
    strip_symbols = "-s -w"  # a third smaller
    command = [go, "build", "-v", "-mod=readonly", "-o", "temporal",
               "-ldflags", f"{strip_symbols} -X github.com/temporalio/cli/temporalcli.Version={versions.cli}",
               PROGRAM]  # fmt: skip
    report(f"building Temporal server {versions.server} with Go: once on this machine, it takes some minutes")
    try:
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(MODULE / name, folder / name)
        async with ticking("building", counter.shown, report):
            await run(command, timeout=BUILD_TIMEOUT, cwd=folder, env={"GOWORK": "off"}, on_line=counter.count)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(folder)
        raise
    return folder / "temporal"


class _Counter:
    """Reads `go build -v`: a line for each module that is fetched and each package that is compiled."""

    def __init__(self) -> None:
        self._fetched = 0
        self._compiled = 0

    def count(self, line: str) -> None:
        if line.startswith("go: downloading"):
            self._fetched += 1
        else:
            self._compiled += 1

    def shown(self) -> str:
        return f", {self._fetched} modules fetched, {self._compiled} packages compiled"
