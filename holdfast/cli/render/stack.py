"""The state of the local stack, for people and as JSON."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version

from holdfast import stack
from holdfast._version import __version__
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.found_damage import found_damages
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import count, duration, one_line
from holdfast.cli.stack_notices import notices
from holdfast.cli.store_fault import store_fault
from holdfast.models import SCRIPTED_MARK
from holdfast.settings import Settings
from holdfast.stack import PartStatus, StackStatus

SDKS = ("temporalio", "surrealdb")
LABEL_WIDTH = 11  # cells, gap included
STATE_STYLES = {"running": "green", "restarting": "yellow", "stopped": "dim", "unreachable": "red"}
_LOCKED = {True: "in use", False: "not open", None: "a server"}


async def show_status(out: Output, settings: Settings) -> ExitCode:
    """Writes the state of the stack, and returns whether it is healthy as an exit code."""
    for damage in found_damages(settings):
        out.warn(damage)
    found = await stack.status(settings)
    fault = await store_fault(settings, is_open=found.store_locked)
    healthy = fault is None and is_healthy(found, is_local=settings.temporal_address is None)
    if out.json:
        facts = {"store_fault": fault, "healthy": healthy, "versions": versions()}
        out.document({**found.model_dump(mode="json"), **facts})
    else:
        show_stack(out, found, datetime.now(UTC), fault)
    for text in notices(found.differences, found.changed_files, found.outdated_model):
        out.warn(text)
    return ExitCode.OK if healthy else ExitCode.UNAVAILABLE


def is_healthy(found: StackStatus, *, is_local: bool) -> bool:
    """Whether runs can continue; with a server elsewhere, any worker that polls the queue will do."""
    if is_local:
        return all(part.state == "running" for part in found.parts)
    temporal = next(part for part in found.parts if part.name == "temporal")
    return temporal.state == "running" and bool(found.pollers)


def versions() -> dict[str, str]:
    """The versions of Python, Holdfast and its SDKs."""
    sdks = {package: version(package) for package in SDKS}
    return {"python": platform.python_version(), "holdfast": __version__, **sdks}


def show_stack(out: Output, found: StackStatus, now: datetime, store_fault: str | None = None) -> None:
    """Writes the stack, a block for each part."""
    for part in found.parts:
        _show_part(out, part, now)
    if found.supervisor.state == "running":
        _show_line(out, "supervisor", "", f"pid {found.supervisor.pid}, restarts parts that end")
    if not found.scripted:
        _show_line(out, "model", found.model)
    _show_line(out, "store", found.store_url, "" if store_fault else _LOCKED[found.store_locked])
    if store_fault:
        out.say(" " * LABEL_WIDTH, ("● unavailable", STATE_STYLES["unreachable"]), f"  {one_line(store_fault)}")
    _show_line(
        out, "queue", f"{found.task_queue} in {found.namespace}", ", ".join(found.pollers) or "no worker polls it"
    )
    _show_line(out, "versions", "", ", ".join(f"{name} {number}" for name, number in versions().items()))


def _show_line(out: Output, label: str, value: str, remark: str = "") -> None:
    gap = "  " if value and remark else ""
    out.say(f"{label:{LABEL_WIDTH}}", value, (f"{gap}{remark}", "dim"))


def _show_part(out: Output, part: PartStatus, now: datetime) -> None:
    facts = [part.address, part.version, f"pid {part.pid}" if part.pid else None]
    if part.since and part.state == "running":
        facts.append(f"up {duration((now - part.since).total_seconds())}")
    shown = "  ".join(fact for fact in facts if fact)
    state = (f"● {part.state}", STATE_STYLES[part.state])
    out.say(f"{part.name:{LABEL_WIDTH}}", state, f"  {shown}" if shown else "")
    if part.trouble:
        out.say(" " * LABEL_WIDTH, (part.trouble, "red"))
    elif part.restarts:
        out.say(" " * LABEL_WIDTH, (f"restarted {count(part.restarts, 'time')}, as it had ended", "yellow"))
    for place in (SCRIPTED_MARK if part.name == "model" else None, part.ui, part.log):
        if place:
            out.say(" " * LABEL_WIDTH, (str(place), "dim"))
