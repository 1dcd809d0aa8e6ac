"""The lock that keeps a second process out of an embedded database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import StoreLocked, StoreUnavailable
from holdfast.storage.database.lock import PathLock

HOLD = """
import sys
from pathlib import Path
from holdfast.storage.database.lock import PathLock
PathLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold_elsewhere(path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of `path` until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    """A second process is refused until the first one ends, even by a crash."""
    path = tmp_path / "data"
    with hold_elsewhere(path) as holder:
        with pytest.raises(StoreLocked) as refusal:
            PathLock(path).acquire()
        holder.kill()
    assert f"process {holder.pid}" in str(refusal.value)
    assert str(path.with_name("data.lock")) in str(refusal.value)
    lock = PathLock(path)
    lock.acquire()
    lock.release()


def test_second_lock_in_one_process_is_refused(tmp_path: Path) -> None:
    """A second lock in the same process is refused, and the message says so."""
    first, second = PathLock(tmp_path / "data"), PathLock(tmp_path / "data")
    first.acquire()
    with pytest.raises(StoreLocked, match="this process itself"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_two_spellings_of_a_path_meet_at_one_lock(tmp_path: Path) -> None:
    """Symbolic links lead to the same lock."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    lock = PathLock(tmp_path / "real" / "data")
    lock.acquire()
    with pytest.raises(StoreLocked):
        PathLock(tmp_path / "link" / ".." / "link" / "data").acquire()
    lock.release()


def test_lock_is_taken_and_released_once(tmp_path: Path) -> None:
    """Locking and unlocking can be repeated."""
    lock = PathLock(tmp_path / "data")
    lock.release()
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    other = PathLock(tmp_path / "data")
    other.acquire()
    other.release()


def test_unclean_end_is_told_to_the_next_holder(tmp_path: Path) -> None:
    """The next owner learns that the last one ended without closing."""
    path = tmp_path / "data"
    with hold_elsewhere(path) as holder:
        holder.kill()
    lock = PathLock(path)
    assert lock.acquire()
    lock.release(clean=False)
    assert lock.acquire()
    assert not lock.acquire()
    lock.release()
    assert not lock.acquire()
    lock.release()


def test_holder_is_the_newest_one(tmp_path: Path) -> None:
    """The message names the current owner."""
    (tmp_path / "data.lock").write_text("123456789012345\n")
    lock = PathLock(tmp_path / "data")
    lock.acquire()
    assert (tmp_path / "data.lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    """Child processes do not inherit the lock."""
    lock = PathLock(tmp_path / "data")
    lock.acquire()
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lock.release()
        other = PathLock(tmp_path / "data")
        other.acquire()
        other.release()
        child.kill()


def test_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """A folder that cannot be created is reported as an unavailable store."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot open"):
        PathLock(tmp_path / "file" / "data").acquire()
