"""The file of a bulk job: its ids, and what was done to each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.ops.bulk import BulkJob, Outcome, Treated, new_path, newest_unfinished

RUNS = ["run-1", 'run "2"\n', "run-3"]


def frozen(path: Path, *, verb: str = "cancel") -> BulkJob:
    """A new job."""
    return BulkJob.freeze(path, verb=verb, where="AgentTurn > 1", namespace="default", runs=RUNS, options={"a": "b"})


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A process that resumes a job knows its ids in order, its options, and what was done before."""
    path = tmp_path / "deep" / "job.jsonl"
    job = frozen(path)
    assert job.left == RUNS
    with job.recording() as record:
        record(Treated(run=RUNS[0], outcome=Outcome.DONE))
        record(Treated(run=RUNS[1], outcome=Outcome.FAILED, reason="refused"))
        record(Treated(run=RUNS[2], outcome=Outcome.ENDED))
    again = BulkJob.read(path)
    assert (again.header, again.runs) == (job.header, RUNS)
    assert again.left == [RUNS[1]]
    assert [(each.run, each.reason) for each in again.failures] == [(RUNS[1], "refused")]
    assert again.key("x") == job.key("x")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failure_is_forgotten_when_it_was_made_good(tmp_path: Path) -> None:
    """The newest outcome of a run counts."""
    job = frozen(tmp_path / "job.jsonl")
    with job.recording() as record:
        record(Treated(run=RUNS[0], outcome=Outcome.FAILED, reason="refused"))
    with BulkJob.read(job.path).recording() as record:
        record(Treated(run=RUNS[0], outcome=Outcome.DONE))
    again = BulkJob.read(job.path)
    assert (again.failures, again.left, again.counts) == ([], RUNS[1:], {Outcome.DONE: 1})


def test_a_line_that_was_not_written_whole_is_ignored(tmp_path: Path) -> None:
    """After a power failure in the middle of a line, the run counts as not treated, and the next line is whole."""
    job = frozen(tmp_path / "job.jsonl")
    with job.path.open("a") as file:
        file.write('{"run": "run-1", "outc')
    again = BulkJob.read(job.path)
    assert again.left == RUNS
    with again.recording() as record:
        record(Treated(run=RUNS[2], outcome=Outcome.DONE))
    assert BulkJob.read(job.path).left == RUNS[:2]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A job that a process works on is not resumed by another."""
    job = frozen(tmp_path / "job.jsonl")
    with (
        job.recording(),
        pytest.raises(UsageError, match="another process works on"),
        BulkJob.read(job.path).recording(),
    ):
        pytest.fail("both work on it")


@pytest.mark.parametrize("content", ["", "{}\n", "nonsense\n", '{"run": "x"}\n', "\x00\n"])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    """A file that is not that of a job is refused by name; an existing file is never replaced."""
    path = tmp_path / "job.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"job.jsonl' is not a file of ids"):
        BulkJob.read(path)
    with pytest.raises(UsageError, match="exists already"):
        frozen(path)
    assert path.read_text() == content


def test_missing_ids_are_noticed(tmp_path: Path) -> None:
    """A file that lost ids, or has another format, is refused."""
    path = frozen(tmp_path / "job.jsonl").path
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(UsageError, match="damaged: it must begin with 3 ids"):
        BulkJob.read(path)
    path.write_text("".join([lines[0].replace('"format":1', '"format":2'), *lines[1:]]))
    with pytest.raises(UsageError, match="another version"):
        BulkJob.read(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        BulkJob.read(tmp_path / "missing")
    with pytest.raises(UsageError, match="cannot be written"):
        frozen(path / "below-a-file")


def test_the_newest_unfinished_job_is_found(tmp_path: Path) -> None:
    """Of the jobs in the state folder, the newest one of the verb that has runs left is resumed."""
    assert newest_unfinished(tmp_path, "cancel") is None
    jobs = [frozen(tmp_path / "bulk" / f"cancel-2026112{number}T000000-aaaa.jsonl") for number in range(3)]
    frozen(new_path(tmp_path, "terminate"), verb="terminate")
    with jobs[2].recording() as record:
        for run in RUNS:
            record(Treated(run=run, outcome=Outcome.DONE))
    found = newest_unfinished(tmp_path, "cancel")
    assert found is not None
    assert found.path == jobs[1].path
