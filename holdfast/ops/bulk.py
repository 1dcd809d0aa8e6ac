"""Bulk job: one operation on many runs, whose ids are frozen in a file with what was done to each."""

from __future__ import annotations

import enum
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from uuid import uuid4

from pydantic import AwareDatetime, ValidationError

from holdfast._util.private_files import try_flock, write_private
from holdfast.errors import UsageError
from holdfast.types import Data, RunId

FOLDER = "bulk"  # in the state folder
SUFFIX = ".jsonl"
FORMAT = 1  # a newer version may write another; it is refused by name


class Outcome(enum.StrEnum):
    """What was done to a run."""

    DONE = "done"
    ENDED = "ended"
    """Nothing: it had ended before."""
    FAILED = "failed"
    """The server or the run has refused; `--resume` tries it again."""


class Header(Data):
    """First line of the file."""

    format: int
    id: str
    """Of the job; with a run's id it is the idempotency key of what is done to the run."""
    verb: str
    where: str
    options: dict[str, str]
    """Of the operation, such as the reason of a termination."""
    namespace: str
    created: AwareDatetime
    runs: int


class Treated(Data):
    """A later line: a run, and what was done to it. Before anything is done, it has the run alone."""

    run: RunId
    outcome: Outcome | None = None
    reason: str = ""


class BulkJob:
    """One operation on many runs. Its file has the ids first, and then one line for each run that was treated.

    So a process that is killed loses nothing but the outcome of calls in flight.
    """

    def __init__(self, path: Path, header: Header, runs: Sequence[RunId], treated: dict[RunId, Treated]) -> None:
        self.path = path
        self.header = header
        self.runs = runs
        self._treated = treated

    @classmethod
    def freeze(
        cls, path: Path, *, verb: str, where: str, namespace: str, runs: Sequence[RunId], options: dict[str, str]
    ) -> Self:
        """Writes the file of a new job.

        Raises:
            UsageError: the file exists, or cannot be written.
        """
        header = Header(
            format=FORMAT, id=uuid4().hex[:12], verb=verb, where=where, options=options, namespace=namespace,
            created=datetime.now(UTC), runs=len(runs),
        )  # fmt: skip
        lines = [header.model_dump_json(), *(Treated(run=run).model_dump_json(exclude_defaults=True) for run in runs)]
        if path.exists():
            raise UsageError(f"{str(path)!r} exists already; use --resume to continue it, or name another file")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, "\n".join(lines) + "\n")
        except OSError as error:
            raise UsageError(f"the ids cannot be written to {str(path)!r}: {error.strerror}") from None
        return cls(path, header, runs, {})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a job that was begun.

        Raises:
            UsageError: the file cannot be read, or is not that of a job.
        """
        try:
            lines = path.read_text(encoding="utf-8").split("\n")[
                :-1
            ]  # a last line without an end was not written whole
            header = Header.model_validate_json(lines[0])
            found = [Treated.model_validate_json(line) for line in lines[1:]]
        except OSError as error:
            raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from None
        except (ValidationError, ValueError, IndexError):
            raise UsageError(f"{str(path)!r} is not a file of ids that --ids-file has written") from None
        if header.format != FORMAT:
            raise UsageError(f"{str(path)!r} was written by another version of this program (format {header.format})")
        frozen, later = found[: header.runs], found[header.runs :]
        if len(frozen) != header.runs or any(each.outcome for each in frozen):
            raise UsageError(f"{str(path)!r} is damaged: it must begin with {header.runs} ids")
        return cls(path, header, [each.run for each in frozen], {each.run: each for each in later})

    @property
    def left(self) -> list[RunId]:
        """Runs that nothing was done to, and those that failed."""
        return [run for run in self.runs if self._outcome(run) in (None, Outcome.FAILED)]

    @property
    def counts(self) -> Counter[Outcome]:
        """How many runs had each outcome."""
        return Counter(each.outcome for each in self._treated.values() if each.outcome)

    @property
    def failures(self) -> list[Treated]:
        """The runs that failed, with the reason."""
        return [each for run in self.runs if (each := self._treated.get(run)) and each.outcome is Outcome.FAILED]

    def key(self, run: RunId) -> str:
        """The idempotency key of what this job does to a run."""
        return f"{self.header.verb}-{self.header.id}-{run}"

    def _outcome(self, run: RunId) -> Outcome | None:
        treated = self._treated.get(run)
        return treated.outcome if treated else None

    @contextmanager
    def recording(self) -> Iterator[Callable[[Treated], None]]:
        """Yields what records the treatment of a run. Only one process at a time may do so.

        Raises:
            UsageError: another process works on this job, or the file cannot be written.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"{str(self.path)!r} cannot be written: {error.strerror}") from None
        try:
            _lock(descriptor, self.path)
            os.lseek(descriptor, _end_of_last_line(descriptor), os.SEEK_SET)

            def record(treated: Treated) -> None:
                os.write(descriptor, (treated.model_dump_json(exclude_defaults=True) + "\n").encode())
                self._treated[treated.run] = treated

            yield record
        finally:
            os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    if not try_flock(descriptor):
        raise UsageError(f"another process works on {str(path)!r}: wait until it has ended")


def _end_of_last_line(descriptor: int) -> int:
    """Cuts off a line that was not written whole, and returns where the next one begins."""
    size = os.fstat(descriptor).st_size
    end = os.pread(descriptor, size, 0).rfind(b"\n") + 1
    os.ftruncate(descriptor, end)
    return end


def new_path(home: Path, verb: str) -> Path:
    """Returns the file of a new job in the state folder."""
    return home / FOLDER / f"{verb}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:4]}{SUFFIX}"


def newest_unfinished(home: Path, verb: str) -> BulkJob | None:
    """Returns the newest job of a verb in the state folder that has runs left; `None` if there is none."""
    for path in sorted((home / FOLDER).glob(f"{verb}-*{SUFFIX}"), reverse=True):
        job = BulkJob.read(path)
        if job.left:
            return job
    return None
