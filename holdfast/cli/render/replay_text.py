"""Results of replays as lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from holdfast._util.terminal import clean
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import duration, local_time
from holdfast.cli.replayed import Replayed, Verdict
from holdfast.temporal.replay.difference import Difference

WORDS = {
    Verdict.REPLAYS: "replayed without a difference",
    Verdict.DIFFERS: "different",
    Verdict.UNCHECKED: "not checked",
    Verdict.DELETED: "deleted by Temporal",
}


def show_replayed(out: Output, replayed: Replayed) -> None:
    """Writes what is wrong with a history; nothing if it replays."""
    place = clean(replayed.place)
    if replayed.verdict is Verdict.UNCHECKED:
        out.say((f"{place} was not checked: {clean(replayed.note)}", "yellow"))
    if (found := replayed.difference) is not None:
        out.say((f"{place} differs at {_event(found, replayed.events)}", "red"))
        out.say(f"  history:   {clean(found.history)}")
        out.say(f"  code now:  {clean(found.code)}")
        out.say((f"  Temporal:  {clean(found.sdk)}", "dim"))


def _event(found: Difference, events: int) -> str:
    kind = f" ({found.event_type})" if found.event_type else ""
    at = f", recorded {local_time(found.at)}" if found.at else ""
    return f"event {found.event_id} of {events}{kind}{at}"


def replayed_total(all_replayed: Sequence[Replayed], seconds: float) -> str:
    """The number of histories with each verdict."""
    found = Counter(each.verdict for each in all_replayed)
    kinds = ", ".join(f"{found[verdict]:,} {words}" for verdict, words in WORDS.items() if found[verdict])
    number = len(all_replayed)
    return (
        f"{number:,} {'history' if number == 1 else 'histories'}{': ' if kinds else ''}{kinds} in {duration(seconds)}"
    )
