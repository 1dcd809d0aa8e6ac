"""Damage to the files of an embedded database: noticed when the engine opens them, kept aside, and reported.

The engine writes one log. When it opens it, it cuts the log at the first record with a wrong checksum, without a word:
it copies what comes before to a new file and deletes the old one. A hard link to the old file, made before the engine
opens it, costs microseconds and survives that.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from holdfast.types import Data

LOGS, UNFINISHED = "clog/*.clog", "clog/*.repair"
ROW = re.compile(rb"/\*[^\x00]{1,200}\x00\*[^\x00]{1,200}\x00\*([a-z_]{1,40})\x00\*")
"""The beginning of the key of a row in the log; the group is its table."""
RUN = re.compile(rb"\x00\*(?:run\x00\*\x00{3}\x01|event\x00\*\x00{3}\x03\x00{3}\x04)([^\x00]{1,400})\x00")
"""The beginning of the key of a run's row, or of one of its entries; the group is the run's id."""
OWN_TABLE = "opening"  # marks that opening the files writes itself
INTERRUPTED_WRITE = 1  # rows at the end of a log that a crash or a full disk cut off; the engine never acknowledged it


class Damage(Data):
    """What the engine cut off a log."""

    at: AwareDatetime
    kept: str
    """Path of the damaged file."""
    bytes: int
    """Size of what was cut off."""
    rows: dict[str, int]
    """Number of writes in it, by table."""
    runs: int
    """Number of runs that it has rows of."""

    def __str__(self) -> str:
        rows = ", ".join(f"{count:,} in {table}" for table, count in sorted(self.rows.items()))
        return (
            f"the database file was damaged: on {self.at:%Y-%m-%d %H:%M} the engine cut off its last {self.bytes:,} "
            f"bytes, which touch {self.runs:,} runs (writes: {rows}). `doctor rebuild --all` restores the runs that "
            f"Temporal still has; anything else comes from a backup. The damaged file is kept: {self.kept}"
        )


class LogGuard:
    """Notices what the engine cuts off.

    Args:
        path: the database's folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._links = path / "opening"

    def prepare(self) -> None:
        """Keeps the logs as they are; call it before the engine opens them."""
        with contextlib.suppress(OSError):  # no links on this file system, or the disk is full
            self._links.mkdir(mode=0o700, exist_ok=True)
            for log in self._path.glob(LOGS):
                with contextlib.suppress(FileExistsError):  # of an opening that was interrupted
                    os.link(log, self._links / log.name)

    @property
    def is_repair_unfinished(self) -> bool:
        """Whether the engine has open a part of its log, which the next opening replaces by the whole one."""
        return any(self._path.glob(UNFINISHED))

    def settle(self) -> list[Damage]:
        """Returns what the engine cut off meanwhile, and keeps the damaged files; call it after each opening."""
        current = {log.stat().st_ino for pattern in (LOGS, UNFINISHED) for log in self._path.glob(pattern)}
        found = []
        for link in sorted(self._links.glob("*")):
            damage = None if link.stat().st_ino in current else self._kept(link)
            if damage is None:
                link.unlink()
            else:
                found.append(damage)
        with contextlib.suppress(OSError):
            self._links.rmdir()
        return found

    def _kept(self, link: Path) -> Damage | None:
        log, now = self._path / "clog" / link.name, datetime.now(UTC)
        start = log.stat().st_size if log.exists() else 0
        rows, runs = _lost(link, start)
        if sum(rows.values()) <= INTERRUPTED_WRITE:
            return None
        folder = self._path / f"damaged-{now:%Y%m%d-%H%M%S-%f}"
        folder.mkdir(mode=0o700)
        kept = link.rename(folder / link.name)
        damage = Damage(at=now, kept=str(kept), bytes=kept.stat().st_size - start, rows=rows, runs=runs)
        (folder / "damage.json").write_text(damage.model_dump_json(indent=2))
        return damage


def damages(path: Path) -> list[Damage]:
    """Returns the damage to a database that was found at some time and whose files are still kept, oldest first."""
    found = []
    for note in sorted(path.glob("damaged-*/damage.json")):
        with contextlib.suppress(OSError, ValidationError):
            found.append(Damage.model_validate_json(note.read_bytes()))
    return found


def _lost(file: Path, start: int) -> tuple[dict[str, int], int]:
    """Returns the number of writes after an offset by table, and the number of runs that they belong to."""
    with file.open("rb") as opened:
        if os.fstat(opened.fileno()).st_size <= start:
            return {}, 0
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            tables = Counter(found[1].decode() for found in ROW.finditer(content, start))
            runs = {found[1] for found in RUN.finditer(content, start)}
    tables.pop(OWN_TABLE, None)
    return dict(tables), len(runs)
