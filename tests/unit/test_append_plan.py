"""Append plans of a store: a table of batches and stored states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from holdfast.errors import MirrorGap
from holdfast.storage.mirror.append_plan import Stored, Write, continues, overlap, plan_append
from holdfast.storage.mirror.sample import SampleRun
from holdfast.types import TranscriptRef

RUN = SampleRun(turns=3)
FORKED = SampleRun(turns=3, run_id=RUN.run_id, started_at=RUN.started_at, differs_from=6)
LATER = SampleRun(turns=3, run_id=RUN.run_id, chain="later", started_at=RUN.started_at + timedelta(microseconds=1))
SAME_TIME = SampleRun(turns=3, run_id=RUN.run_id, chain="same time", started_at=RUN.started_at)


@dataclass(frozen=True)
class Case:
    """The mirror has the first `has` entries of `RUN`; entries `first` to before `end` of `sent` arrive."""

    name: str
    has: int
    first: int
    end: int
    writes: tuple[int, int | None] | None = None
    """First entry written, and the cut."""
    expected: int | None = None
    """Of the MirrorGap."""
    answer: TranscriptRef | None = None
    """Where nothing is written."""
    sent: SampleRun = RUN
    missing: tuple[int, ...] = ()
    """Rows that the mirror has lost."""


CASES = (
    Case("a new run", has=0, first=0, end=3, writes=(0, 0)),
    Case("a new run, not from its start", has=0, first=2, end=3, expected=0),
    Case("what comes next", has=4, first=4, end=6, writes=(4, None)),
    Case("a duplicate", has=6, first=3, end=6, answer=RUN.entries[5].ref),
    Case("an old duplicate", has=6, first=0, end=2, answer=RUN.entries[1].ref),
    Case("an overlap", has=4, first=2, end=7, writes=(4, None)),
    Case("a gap", has=4, first=6, end=8, expected=4),
    Case("a differing past, at the end", has=9, first=9, end=10, expected=0, sent=FORKED),
    Case("a differing past, further back", has=9, first=7, end=10, expected=0, sent=FORKED),
    Case("a difference in a batch that connects", has=9, first=6, end=8, writes=(6, 6), sent=FORKED),
    Case("a difference in a whole log", has=9, first=0, end=10, writes=(6, 6), sent=FORKED),
    Case("a whole log up to the difference", has=9, first=0, end=6, answer=RUN.entries[5].ref, sent=FORKED),
    Case("a lost row within the batch", has=9, first=2, end=7, missing=(4,), writes=(4, 4)),
    Case("a lost row before the batch", has=9, first=5, end=7, missing=(4,), expected=0),
    Case("a newer life", has=9, first=0, end=2, writes=(0, 0), sent=LATER),
    Case("a newer life, not from its start", has=9, first=9, end=10, expected=0, sent=LATER),
    Case("another life that is not newer", has=9, first=9, end=10, answer=SAME_TIME.entries[9].ref, sent=SAME_TIME),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_decision(case: Case) -> None:
    """Each batch is written, refused or ignored as its position requires."""
    batch = case.sent.batch(case.first, case.end)
    stored = Stored.after(RUN.batch(0, case.has)) if case.has else None
    digests = {seq: RUN.entries[seq].digest for seq in overlap(batch, stored) if seq not in case.missing}
    if case.expected is not None:
        with pytest.raises(MirrorGap) as gap:
            plan_append(batch, stored, digests)
        assert gap.value.expected == case.expected
        return
    step = plan_append(batch, stored, digests)
    if case.writes is None:
        assert step == case.answer
    else:
        assert step == Write(case.sent.entries[case.writes[0] : case.end], case.writes[1])


def test_a_batch_that_continues_needs_no_reading() -> None:
    """A batch that continues the known head is written without reading first."""
    stored = Stored.after(RUN.batch(0, 4))
    assert continues(RUN.batch(4), stored)
    assert not continues(RUN.batch(3), stored)
    assert not continues(RUN.batch(5), stored)
    assert not continues(LATER.batch(4), stored)
    assert not continues(FORKED.batch(9), Stored.after(RUN.batch(0, 9)))
