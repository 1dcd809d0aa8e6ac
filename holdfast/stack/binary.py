"""Finds a Temporal development server on this machine, or gets one."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from holdfast.errors import TemporalUnavailable
from holdfast.stack import build
from holdfast.stack.commands import CommandFailed, run
from holdfast.stack.locks import locked
from holdfast.stack.progress import Report

MINIMUM_SERVER = (1, 28)  # the first with update-with-start for good
VERSION_TIMEOUT = 30.0  # seconds; a first start from a slow disk reads 200 MB
VERSION = re.compile(r"temporal version (\S+) \(Server (\d+)\.(\d+)\.(\S+?)[,)]")

WAYS_OUT = """\
Any one of these helps:
  - set TEMPORAL_ADDRESS to a Temporal server that runs (docker-compose.yml has one)
  - put Temporal's command-line program `temporal` on PATH
  - install Go {go} or newer: Holdfast then builds the server itself"""


@dataclass(frozen=True)
class ServerBinary:
    """A program that has `server start-dev`."""

    path: Path
    cli: str
    server: str
    """Version of the server in it."""


class NotThisWay(Exception):
    """This way leads to no server; the message says why."""


async def find_server(report: Report) -> ServerBinary:
    """Finds or gets a server: on PATH, in our cache, by the SDK's download, by a build with Go.

    Raises:
        TemporalUnavailable: no way led to one; the message names them all.
    """
    cache = cache_folder()
    refusals: list[str] = []
    try:
        return await _first([("on PATH", _on_path), (f"in {cache}", lambda: _cached(cache))], refusals)
    except NotThisWay:
        pass
    try:
        cache.mkdir(parents=True, exist_ok=True)
        async with locked(cache / ".lock", lambda: report("another process is getting a Temporal server: waiting")):
            await build.remove_unfinished(cache)
            ways: list[Way] = [
                (f"in {cache}", lambda: _cached(cache)),
                ("download by the Temporal SDK", lambda: _downloaded(cache, report)),
                ("build with Go", lambda: _built(cache, report)),
            ]
            return await _first(ways, refusals)
    except NotThisWay:
        pass
    except OSError as error:
        refusals.append(f"in {cache}: {error}")
    tried = "\n".join(f"  - {refusal}" for refusal in dict.fromkeys(refusals))
    advice = WAYS_OUT.format(go=build.pinned().go)
    raise TemporalUnavailable(f"there is no Temporal server on this machine:\n{tried}\n{advice}")


Way = tuple[str, Callable[[], Awaitable[ServerBinary]]]


async def _first(ways: list[Way], refusals: list[str]) -> ServerBinary:
    for name, way in ways:
        try:
            return await way()
        except NotThisWay as reason:
            refusals.append(f"{name}: {reason}")
    raise NotThisWay


def cache_folder() -> Path:
    """Returns the folder of the servers that Holdfast has downloaded or built."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "holdfast" / "bin"


def private_cache() -> Path | None:
    """Returns the cache folder of Holdfast; `None` if it is not this user's own, or cannot be created."""
    folder = cache_folder().parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return None
    is_own = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if is_own and os.access(folder, os.W_OK) else None


async def _on_path() -> ServerBinary:
    found = shutil.which("temporal")
    if found is None:
        raise NotThisWay("no `temporal`")
    return await check(_absolute(found))


def _absolute(program: str) -> Path:
    """Makes a relative entry of PATH absolute, as the stack starts the server in another folder."""
    return Path(program).absolute()


async def _cached(cache: Path) -> ServerBinary:
    for name in (_built_name(), _downloaded_name()):
        if (cache / name).exists():
            return await check(cache / name)
    raise NotThisWay("none kept")


async def _downloaded(cache: Path, report: Report) -> ServerBinary:
    try:
        fetched = await build.download(cache, report)
    except CommandFailed as error:
        raise NotThisWay(str(error)) from error
    return await _keep(fetched, cache / _downloaded_name())


async def _built(cache: Path, report: Report) -> ServerBinary:
    go = shutil.which("go")
    if go is None:
        raise NotThisWay("no `go` on PATH")
    try:
        built = await build.compile_server(go, cache, report)
    except CommandFailed as error:
        raise NotThisWay(str(error)) from error
    return await _keep(built, cache / _built_name())


async def _keep(fresh: Path, place: Path) -> ServerBinary:
    """Moves a fresh binary to its place in the cache in one step, once it has shown that it runs."""
    try:
        checked = await check(fresh)
        shutil.move(fresh, place)  # a rename: they are in one file system
    finally:
        shutil.rmtree(fresh.parent, ignore_errors=True)
    return ServerBinary(place, checked.cli, checked.server)


def _built_name() -> str:
    pinned = build.pinned()
    return f"temporal-{pinned.cli}-server-{pinned.server}"


def _downloaded_name() -> str:
    return f"temporal-sdk-{installed_version('temporalio')}"


async def check(path: Path) -> ServerBinary:
    """Asks a program for its version.

    Raises:
        NotThisWay: it is not Temporal's program, has no server in it, or too old a one.
    """
    try:
        shown = await run([str(path), "--version"], timeout=VERSION_TIMEOUT)
    except CommandFailed as error:
        raise NotThisWay(f"{path} does not run: {error}") from error
    match = VERSION.search(shown)
    if match is None:
        raise NotThisWay(f"{path} is not Temporal's program with a development server in it")
    cli, major, minor, patch = match.groups()
    if (int(major), int(minor)) < MINIMUM_SERVER:
        needed = ".".join(map(str, MINIMUM_SERVER))
        raise NotThisWay(f"{path} has server {major}.{minor}.{patch}; {needed} or newer is needed")
    return ServerBinary(path, cli, f"{major}.{minor}.{patch}")
