"""The inbox: what waits for a person, and the commands that end the wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import ago, cut, local_time, one_line
from holdfast.endings import endings
from holdfast.inbox import OpenWait


def show_inbox(out: Output, found: Sequence[OpenWait], now: datetime) -> None:
    """Writes a line for each wait, and below it how to end it."""
    for each in found:
        wait = each.wait
        limit = f", until {local_time(wait.until)}" if wait.until else ""
        out.say((one_line(f"{each.run_id} {wait.id}"), "bold"), f"  {wait.kind}, {ago(wait.since, now)}{limit}")
        out.say(f"  {cut(one_line(wait.what), out.width - 2)}")
        for words in endings(each.run_id, wait) or [["show", each.run_id]]:
            out.note(f"    {command(*words)}")
