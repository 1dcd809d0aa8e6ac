"""A disk of a few megabytes, which a test can fill and free."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BLOCK = bytes(4096)
HOW_TO_RUN_IT = "a small disk is a tmpfs, and mounting one takes root: run this test as root, or in a container"


class SmallDisk:
    """A mounted folder.

    Args:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, spare: int = 0) -> None:
        """Leaves not a byte, or some blocks; what others free meanwhile is filled by the next call."""
        self._fill()
        os.truncate(self._ballast, max(self._ballast.stat().st_size - spare * len(BLOCK), 0))

    def _fill(self) -> None:
        try:
            with self._ballast.open("ab", buffering=0) as ballast:
                while ballast.write(BLOCK):
                    pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def free(self) -> None:
        """Gives the room back."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mounts a disk on a new folder for the length of the block; skips the test where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "holdfast-test", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(HOW_TO_RUN_IT)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
