"""Two ways to get a Temporal development server: the SDK's download, or a build with Go from pinned sources."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from holdfast.stack import go_caches
from holdfast.stack.commands import CommandFailed, run
from holdfast.stack.progress import Report, ticking

MODULE = Path(__file__).with_name("temporal")
"""Folder of the go.mod and go.sum, which pin the server and all of its dependencies by checksum."""
PROGRAM = "github.com/temporalio/cli/cmd/temporal"
PACKAGE = re.compile(r"[\w.~/-]+")
"""The name of a package, which `go build -v` writes as it compiles it."""

DOWNLOAD_TIMEOUT = 180.0  # seconds; 60 MB over a slow line. A closed network fails at once or never answers
BUILD_TIMEOUT = 1800.0  # seconds; two to four minutes on two cores, with all sources still to be fetched
DOWNLOAD_PREFIX, BUILD_PREFIX = ".download-", ".build-"  # of the folders in the cache that hold unfinished work


@dataclass(frozen=True)
class Pinned:
    """Versions that go.mod names."""

    go: str
    cli: str
    server: str


def pinned() -> Pinned:
    """Returns the versions that a build with Go produces."""
    text = (MODULE / "go.mod").read_text()

    def version(pattern: str) -> str:
        match = re.search(rf"^\s*{pattern}(\S+)", text, re.MULTILINE)
        if match is None:
            raise ValueError(f"{MODULE / 'go.mod'} does not name {pattern!r}")
        return match.group(1)

    return Pinned(version("go "), version("github.com/temporalio/cli v"), version("go.temporal.io/server v"))


async def download(cache: Path, report: Report) -> Path:
    """Has the SDK download its server into a new folder of the cache, and returns the program's path.

    Raises:
        CommandFailed: nothing was downloaded.
    """
    folder = Path(tempfile.mkdtemp(prefix=DOWNLOAD_PREFIX, dir=cache))
    command = [sys.executable, "-P", str(Path(__file__).with_name("download.py")), str(folder)]
    failure = CommandFailed("it downloaded nothing")
    try:
        async with ticking("downloading a Temporal server", lambda: "", report):
            await run(command, timeout=DOWNLOAD_TIMEOUT)
    except CommandFailed as error:
        failure = error  # the program decides: the SDK's native part may abort after its work is done
    program = _only_program(folder)
    if program:
        return program
    shutil.rmtree(folder, ignore_errors=True)
    raise CommandFailed(str(failure).strip().splitlines()[-1].strip()) from failure


def _only_program(folder: Path) -> Path | None:
    programs = [file for file in folder.iterdir() if file.is_file() and os.access(file, os.X_OK)]
    return programs[0] if len(programs) == 1 else None


async def compile_server(go: str, cache: Path, report: Report) -> Path:
    """Builds the pinned server in a new folder of the cache, and returns the program's path.

    Whether it succeeds, fails or is interrupted, it leaves nothing else behind: no sources, no compiled packages.

    Raises:
        CommandFailed: Go is too old, the sources cannot be fetched, or the build failed.
    """
    versions = pinned()
    folder = Path(tempfile.mkdtemp(prefix=BUILD_PREFIX, dir=cache))
    report(f"building Temporal server {versions.server} with Go: once on this machine, it takes some minutes")
    try:
        await _compile(go, folder / "work", versions, report)
        return (folder / "work" / "temporal").replace(folder / "temporal")
    except BaseException:
        await go_caches.remove(folder)
        raise
    finally:
        await go_caches.remove(folder / "work")


async def _compile(go: str, folder: Path, versions: Pinned, report: Report) -> None:
    counter = _Counter()
    strip_symbols = "-s -w"  # a third smaller
    command = [go, "build", "-v", "-mod=readonly", "-o", "temporal",
               "-ldflags", f"{strip_symbols} -X github.com/temporalio/cli/temporalcli.Version={versions.cli}",
               PROGRAM]  # fmt: skip
    shutil.copytree(MODULE, folder)
    caches = await go_caches.variables(go, folder)
    async with ticking("building", counter.shown, report):
        await run(
            command, timeout=BUILD_TIMEOUT, cwd=folder, env={"GOWORK": "off", **caches}, is_progress=counter.counts
        )


async def remove_unfinished(cache: Path) -> None:
    """Deletes what downloads and builds that were killed have left in the cache; its lock must be held."""
    with os.scandir(cache) as found:
        unfinished = [Path(entry) for entry in found if entry.name.startswith((DOWNLOAD_PREFIX, BUILD_PREFIX))]
    for folder in unfinished:
        await go_caches.remove(folder)


class _Counter:
    """Counts the lines of `go build -v`: one for each module that is fetched and each package that is compiled."""

    def __init__(self) -> None:
        self._fetched = 0
        self._compiled = 0

    def counts(self, line: str) -> bool:
        """Counts a line if it is one of these; whatever else Go writes says why the build fails."""
        is_fetched = line.startswith("go: downloading ")
        is_compiled = PACKAGE.fullmatch(line) is not None
        self._fetched += is_fetched
        self._compiled += is_compiled
        return is_fetched or is_compiled

    def shown(self) -> str:
        return f", {self._fetched} modules fetched, {self._compiled} packages compiled"
