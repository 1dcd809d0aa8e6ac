"""Comparisons of two logs, and how they and forks are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len

from holdfast.cli.render.diff_text import show_diff
from holdfast.cli.render.narrator import Narrator
from holdfast.cli.render.output import Output
from holdfast.cli.render.run_page import LogSummary, show_page
from holdfast.client.comparison import ComparedRun, RunDiff
from holdfast.progress import RunProgress
from holdfast.types import Entry, ForkedFrom, RunResult, RunStatus, Usage
from holdfast.workflows.run.log import Log

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LONG = "The harbour master promises a berth for every ship that has written before noon, and "


pytestmark = pytest.mark.usefixtures("narrow_pipe")


class Run(Log):
    """A log of a run that looks once and answers.

    Args:
        answer: its answer; `None` means that it is open.
        arguments: of its call.
        call: id of its call.
        forked: where it comes from; its own turns are counted from there.
    """

    def __init__(
        self, answer: str | None, *, arguments: str = '{"at": 1}', call: str = "c", forked: ForkedFrom | None = None
    ) -> None:
        super().__init__()
        start: dict[str, Any] = {"agent": {"name": "scout"}, "request": {}}
        if forked:
            start["forked"] = forked.model_dump(mode="json")
        self.append("start", at=NOW, turn=0, data=start)
        self.say(0, role="system", content="You scout.")
        self.say(0, role="user", content="Scout.")
        calls = [{"id": call, "name": "look", "arguments": arguments}]
        self.say(1, role="assistant", tool_calls=calls)
        self.say(1, role="tool", content="nothing", tool_call_id=call)
        if answer is not None:
            self.say(2, role="assistant", content=answer)
            result = RunResult(
                run_id="r", agent="scout", status=RunStatus.COMPLETED, output=answer, started_at=NOW, turns=2
            )
            data = {"result": result.model_dump(mode="json")}
            self.append("finish", at=NOW + timedelta(seconds=3), turn=2, data=data)

    def say(self, turn: int, **message: Any) -> None:
        """Adds a message; replies have 10 tokens."""
        facts: dict[str, Any] = {}
        if message["role"] == "assistant":
            usage = Usage(requests=1, input_tokens=8, output_tokens=2, cost_usd=0.5)
            facts = {"model": "m-1", "usage": usage.model_dump(mode="json")}
        if message["role"] == "tool":
            facts = {"tool": "look", "error": False, "seconds": 0.1}
        kind = "tool_result" if message["role"] == "tool" else "message"
        self.append(kind, at=NOW, turn=turn, data={"message": {"seq": self.next_message, **message}, **facts})

    @property
    def entries(self) -> list[Entry]:
        """All entries."""
        return self.after(-1)


def compared(a: Run, b: Run) -> RunDiff:
    """The comparison of two logs."""
    sides = [ComparedRun.of(name, RunStatus.RUNNING, log.entries) for name, log in (("run-a", a), ("run-b", b))]
    return RunDiff.of(sides[0], sides[1], a.entries, b.entries)


def test_ids_and_the_form_of_arguments_do_not_count() -> None:
    """Two runs that did the same are the same, though a provider chose other ids."""
    diff = compared(Run("A hut."), Run("A hut.", call="other", arguments='{ "at":1 }'))
    assert (diff.same, diff.first) == (5, None)
    assert compared(Run("A hut."), Run("A hut.", arguments='{"at": 2}')).same == 2
    assert compared(Run("A hut."), Run("A hut.", arguments='{"at": ')).same == 2


def test_what_each_used() -> None:
    """Turns, tokens, cost, calls, time and answer of each; an open run has no time."""
    diff = compared(Run("A hut."), Run(None))
    assert (diff.a.turns, diff.a.usage.total_tokens, diff.a.usage.cost_usd) == (2, 20, 1.0)
    assert (diff.a.tool_calls, diff.a.seconds, diff.a.output, diff.a.model) == ({"look": 1}, 3, "A hut.", "m-1")
    assert (diff.b.turns, diff.b.status, diff.b.seconds, diff.b.output) == (1, RunStatus.RUNNING, None, "")
    assert diff.first is not None
    assert (diff.first[0] and diff.first[0].content, diff.first[1]) == ("A hut.", None)


def test_what_a_fork_copied_is_not_its_own() -> None:
    """Of a fork only the turns after the point count."""
    fork = ComparedRun.of(
        "f", RunStatus.RUNNING, Run("A hut.", forked=ForkedFrom(run="r", seq=4, digest="", turn=1)).entries
    )
    assert (fork.turns, fork.tool_calls, fork.usage.requests) == (1, {}, 1)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("A hut.", "A hut.", "all 5 messages are the same"),
        (LONG + "keeps it.", LONG + "forgets it.", "…ritten before noon, and forgets it."),
        ("A hut.", None, "(there are no more messages)"),
    ],
)
def test_a_comparison_fits_the_screen(a: str, b: str | None, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the place where the runs part, and what each used, in 80 columns."""
    show_diff(Output(), compared(Run(a), Run(b)))
    shown = capsys.readouterr().out
    assert said in shown
    assert "look ×1" in shown
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_a_fork_shows_what_it_copied(capsys: pytest.CaptureFixture[str]) -> None:
    """Followers see where the copy ends, and the page of the run names its origin."""
    forked = ForkedFrom(run="origin-1", seq=4, digest="d", turn=1)
    run = Run("A hut.", forked=forked)
    narrator, log = Narrator(Output()), LogSummary()
    for entry in run.entries:
        narrator.show(entry)
        log.add(entry)
    shown = capsys.readouterr().out
    parts = ["copied from origin-1:", "> Scout.", "turn 1", "the fork of origin-1 begins here", "turn 2", "A hut."]
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)
    assert log.tools == {}, "the call was the origin's"
    progress = RunProgress(
        run_id="f", agent="scout", status=RunStatus.COMPLETED, forked=forked, rerun_of="origin-1", started_at=NOW
    )
    show_page(Output(), progress, log, None)
    page = capsys.readouterr().out
    assert "from origin-1, after turn 1" in page
    assert "of origin-1" in page
