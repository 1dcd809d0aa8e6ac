"""A JSONL file of conversations, one line per run, which several processes may write at once."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holdfast._util.private_files import open_lock_file, try_flock, write_private
from holdfast.errors import StoreUnavailable, UsageError
from holdfast.types import RunId

LOCK_TIMEOUT = 60.0  # seconds; another process holds the lock only while it writes
LOCK_INTERVAL = 0.02  # seconds between attempts
PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""Errors that another attempt may not have."""


@dataclass(frozen=True)
class _Line:
    """What the file was last told of a run."""

    chain: str
    head: int
    digests: list[str]
    """Of the run's line, the newest first; the one before counts if the process died before it replaced the line."""

    @classmethod
    def of(cls, found: Any) -> _Line | None:
        match found:
            case {"chain": str(chain), "head": int(head), "digests": [str(), *_] as digests}:
                return cls(chain, head, digests)
        return None

    def covers(self, chain: str, head: int, digest: str) -> bool:
        """Returns whether this line is the same as another one of the run, or has a later state."""
        return self.digests[0] == digest or (self.chain == chain and self.head > head)


class ConversationFile:
    """The file, and two small ones beside it: a lock, and which line is that of which run.

    The lines themselves have nothing but the messages and the tools, as programs for training refuse other fields.

    Args:
        path: the file, which need not exist, in a folder that does.

    Raises:
        UsageError: no file can have this path.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.path = path.resolve()
            self._lock = self.path.with_name(f".{self.path.name}.lock")
            self._index = self.path.with_name(f".{self.path.name}.runs")
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"file={str(path)!r} is not accepted: {error}") from None

    def put(self, run_id: RunId, chain: str, head: int, line: bytes) -> None:
        """Appends the line of a run, or replaces its earlier one; the file is never seen half written.

        Args:
            run_id: the run.
            chain: of the run's log.
            head: the last entry of the log; if the file has a line of the run with a later one, that stays.
            line: JSON without a newline.

        Raises:
            UsageError: the path cannot be used.
            StoreUnavailable: the disk is full or fails, or another process holds the lock for too long.
        """
        try:
            self._check()
            with self._locked():
                self._put(run_id, chain, head, line)
        except OSError as error:
            kind = StoreUnavailable if error.errno in PASSING else UsageError
            raise kind(
                f"the conversation of {run_id!r} cannot be saved in {str(self.path)!r}, which is unchanged: "
                f"{error.strerror or error}"
            ) from error

    def _check(self) -> None:
        if not self.path.parent.is_dir():
            raise UsageError(f"file={str(self.path)!r} is not accepted: its folder does not exist")
        if self.path.exists() and not self.path.is_file():
            raise UsageError(f"file={str(self.path)!r} is not accepted: it is not a regular file")

    def _put(self, run_id: RunId, chain: str, head: int, line: bytes) -> None:
        content = self.path.read_bytes() if self.path.exists() else b""
        lines = content.removesuffix(b"\n").split(b"\n") if content else []
        if content.strip() and not content.lstrip().startswith(b"{"):
            raise UsageError(f"file={str(self.path)!r} is not accepted: it exists, and is not a file of JSON lines")
        runs = self._runs()
        known, new = runs.get(run_id), _digest(line)
        place = _place(lines, run_id, runs)
        before = [] if place is None else [_digest(lines[place])]
        if known is not None and before == known.digests[:1] and known.covers(chain, head, new):
            return
        runs[run_id] = _Line(chain, head, [new, *before])  # written first: see _Line.digests
        if place is None:
            lines.append(line)
        else:
            lines[place] = line
        write_private(self._index, json.dumps({run: asdict(known) for run, known in runs.items()}))
        write_private(self.path, b"\n".join(lines) + b"\n")

    def _runs(self) -> dict[RunId, _Line]:
        """Returns what is known of the lines; without it, or if it is damaged, the file only grows."""
        try:
            found = json.loads(self._index.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        lines = {run: _Line.of(line) for run, line in found.items()} if isinstance(found, dict) else {}
        return {run: line for run, line in lines.items() if line is not None}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor, end = open_lock_file(self._lock), time.monotonic() + LOCK_TIMEOUT
        try:
            while not try_flock(descriptor):
                if time.monotonic() > end:
                    raise StoreUnavailable(
                        f"{str(self.path)!r} has been locked by another process for {LOCK_TIMEOUT:g} s: try again"
                    )
                time.sleep(LOCK_INTERVAL)
            yield
        finally:
            os.close(descriptor)


def _place(lines: list[bytes], run_id: RunId, runs: dict[RunId, _Line]) -> int | None:
    """Returns the index of a run's line; `None` if there is none.

    Of equal lines of several runs, each run has one; which one does not matter.
    """
    if run_id not in runs:
        return None
    digests = [_digest(line) for line in lines]
    claimed = Counter(line.digests[0] for other, line in runs.items() if other != run_id)
    own = (digest for digest in runs[run_id].digests if digests.count(digest) > claimed[digest])
    return next((digests.index(digest) for digest in own), None)


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
