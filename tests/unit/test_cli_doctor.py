"""Arguments and output of `doctor`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.cli.moment import moment
from holdfast.cli.render.doctor_text import SHOWN_DIFFERENCES, difference_lines, verified_total
from holdfast.errors import UsageError
from holdfast.ops.doctor import Report, Verdict
from holdfast.ports import RowDifference


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12 h", timedelta(hours=12)),
        ("2d", timedelta(days=2)),
        (" 3w ", timedelta(weeks=3)),
    ],
)
def test_an_age_is_a_moment(text: str, age: timedelta) -> None:
    """An age means the moment that long ago."""
    found = moment(text)
    assert found is not None
    assert abs(datetime.now(UTC) - age - found) < timedelta(seconds=5)


def test_a_date_is_a_moment() -> None:
    """A date without a zone is in local time."""
    assert moment("2020-02-29T09:30+02:00") == datetime(2020, 2, 29, 7, 30, tzinfo=UTC)
    assert moment("2020-02-29") == datetime(2020, 2, 29).astimezone(UTC)
    assert moment("999999999w") == datetime.min.replace(tzinfo=UTC)
    assert moment(None) is None


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "-2d", "2.5d", "2020-13-01", "9999-01-01", "1e3d"])
def test_other_texts_are_refused(text: str) -> None:
    """A text that is not a moment is refused, and named."""
    with pytest.raises(UsageError) as refusal:
        moment(text)
    assert repr(text) in str(refusal.value)


def test_rows_that_follow_each_other_take_one_line() -> None:
    """Consecutive rows with the same difference share a line."""
    differences = [RowDifference("event", seq, "missing") for seq in range(3000)]
    differences += [
        RowDifference("event", 3001, "missing"),
        RowDifference("message", 1, "missing"),
        RowDifference("run", None, "altered: text"),
    ]
    calls = [RowDifference("tool_call", seq, "missing", (1, f"call {seq}")) for seq in (4, 5)]
    lines = difference_lines(Report("a-run", Verdict.DAMAGED, differences=(*differences, *calls)), 80)
    assert lines == [
        "a-run is damaged",
        "  event 0-2999: missing",
        "  event 3001: missing",
        "  message 1: missing",
        "  run: altered: text",
        "  tool_call 4 (turn 1, call 'call 4'): missing",
        "  tool_call 5 (turn 1, call 'call 5'): missing",
    ]


def test_many_flaws_and_long_names_fit_a_terminal() -> None:
    """Flaws are cut to the terminal, without control characters."""
    differences = tuple(RowDifference("tool_call", seq, "missing", (1, "\x1b[2J" + "x" * 1000)) for seq in range(100))
    lines = difference_lines(Report("a-run", Verdict.DAMAGED, differences=differences), 80)
    assert len(lines) == SHOWN_DIFFERENCES + 2
    assert all(len(line) <= 80 and "\x1b" not in line for line in lines)
    assert lines[-1].strip().startswith("and 80 more")


def test_the_total_names_what_there_is() -> None:
    """The total names only verdicts that occur."""
    reports = [Report("a", Verdict.HEALTHY, 10), Report("b", Verdict.MIRROR_ONLY, 1), Report("c", Verdict.HEALTHY, 1)]
    assert verified_total(reports, 1.0) == "3 runs: 2 healthy, 1 mirror only; 12 entries in 1.0 s"
    assert verified_total([], 1.0) == "0 runs in 1.0 s"
