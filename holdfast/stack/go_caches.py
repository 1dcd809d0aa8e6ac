"""Go's caches during a build: the user's own where they exist, otherwise temporary ones that are deleted afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

from holdfast.stack.commands import run

CACHES = {"GOCACHE": "compiled", "GOMODCACHE": "modules"}
"""Go's variable for each cache, and the name of the temporary folder that replaces it."""
ENV_TIMEOUT = 30.0  # seconds; `go env` answers within milliseconds, from a slow disk within a few seconds
REMOVAL_ATTEMPTS = 50  # a compiler that was just killed may still create a file while its folder is being deleted
REMOVAL_INTERVAL = 0.1  # seconds between attempts


async def variables(go: str, folder: Path) -> dict[str, str]:
    """Returns the variables that keep a build out of caches which the user does not have yet.

    A build of the server fills them with 3 GB, which a user who does not work with Go would never find.

    Args:
        go: Go's program.
        folder: holds the temporary caches.

    Raises:
        CommandFailed: `go env` failed.
    """
    unset = [name for name in CACHES if not os.environ.get(name)]
    if not unset:
        return {}
    only_this_go = {"GOTOOLCHAIN": "local", "GOWORK": "off"}  # otherwise the question alone may download a toolchain
    answer = await run([go, "env", *unset], timeout=ENV_TIMEOUT, cwd=folder, env=only_this_go)
    places = answer.split("\n")[-len(unset) :]
    return {
        name: str(folder / CACHES[name]) for name, place in zip(unset, places, strict=True) if not _is_filled(place)
    }


def _is_filled(place: str) -> bool:
    try:
        return bool(place) and any(Path(place).iterdir())
    except OSError:
        return False


async def remove(folder: Path) -> None:
    """Deletes a build's folder, including modules, which Go makes read-only."""
    for _ in range(REMOVAL_ATTEMPTS):
        if await asyncio.to_thread(_remove, folder):
            return
        await asyncio.sleep(REMOVAL_INTERVAL)


def _remove(folder: Path) -> bool:
    for path, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(path).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
