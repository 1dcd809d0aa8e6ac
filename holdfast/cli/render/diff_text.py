"""Two runs beside each other, as text."""

from __future__ import annotations

from itertools import takewhile

from holdfast.cli.render.output import Output
from holdfast.cli.render.run_page import message_line
from holdfast.cli.render.status import status_mark
from holdfast.cli.render.table import Column, show_table
from holdfast.cli.render.text import count, cut, duration, one_line, tokens
from holdfast.client.comparison import ComparedRun, RunDiff
from holdfast.types import Message

LEAD = 24  # characters of a text that are shown before the first one that differs
NARROWEST = 20  # cells of a run's column


def show_diff(out: Output, diff: RunDiff) -> None:
    """Writes where two runs part, and what each used."""
    _show_first(out, diff)
    out.say()
    facts = [_facts(diff.a), _facts(diff.b)]
    names = [name for name in facts[0] if any(side[name] for side in facts)]
    columns = [Column("", names, "dim", is_whole=True)]
    for run, side in zip((diff.a, diff.b), facts, strict=True):
        columns.append(Column(one_line(run.run_id), [side[name] for name in names], narrowest=NARROWEST))
    show_table(out, columns)


def _show_first(out: Output, diff: RunDiff) -> None:
    if diff.first is None:
        out.say(f"all {count(diff.same, 'message')} are the same")
        return
    what = {0: "no message is", 1: "the first message is"}.get(diff.same, f"the first {diff.same:,} messages are")
    out.say(f"{what} the same; message {diff.same} differs:")
    skipped = _shared(*diff.first)
    for run, message in zip((diff.a, diff.b), diff.first, strict=True):
        out.say((f"  {one_line(run.run_id)}", "dim"))
        out.say(cut(f"    {_shown(message, skipped)}", out.width))


def _shown(message: Message | None, skipped: int) -> str:
    if message is None:
        return "(there are no more messages)"
    content = f"…{message.shown[skipped:]}" if skipped else message.shown
    return message_line(message.model_copy(update={"content": content}))


def _shared(a: Message | None, b: Message | None) -> int:
    """Returns the number of characters at the beginning of both that need not be shown."""
    if a is None or b is None or a.role != b.role or a.shown == b.shown:
        return 0
    same = takewhile(lambda pair: pair[0] == pair[1], zip(a.shown, b.shown, strict=False))
    return max(sum(1 for _ in same) - LEAD, 0)


def _facts(run: ComparedRun) -> dict[str, str]:
    sign, _ = status_mark(run.status)
    tools = ", ".join(f"{one_line(name)} ×{calls}" for name, calls in run.tool_calls.items())
    return {
        "status": sign,
        "agent": one_line(run.agent),
        "model": one_line(run.model or ""),
        "forked from": one_line(f"{run.forked.run}, turn {run.forked.turn}") if run.forked else "",
        "turns": str(run.turns),
        "usage": tokens(run.usage),
        "tools": tools or "none called",
        "took": duration(run.seconds) if run.seconds is not None else "",
        "answer": one_line(run.output),
    }
