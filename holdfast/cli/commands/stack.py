"""`up`, `down`, `status`: the local stack."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from holdfast import stack
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import duration
from holdfast.models import SCRIPTED_MARK
from holdfast.settings import Settings
from holdfast.stack import PartStatus, StackStatus

PACKAGES = ("holdfast", "temporalio", "surrealdb")
TITLES = {"temporal": "temporal", "model": "model", "worker": "worker"}
STATE_STYLES = {"running": "green", "stopped": "dim", "unreachable": "red"}

UP_EXAMPLES = """
    $ up
    HOLDFAST_HOME=/var/lib/holdfast $ up
"""
DOWN_EXAMPLES = """
    $ down
"""
STATUS_EXAMPLES = """
    $ status
    $ status --json | jq .healthy
"""


async def up(json: JsonOption = False) -> ExitCode:
    """Starts the local stack.

    That is a Temporal server, a worker and, where no model is configured, the
    scripted model server. Starts what does not run yet and leaves the rest alone. With TEMPORAL_ADDRESS
    set only the worker is started, for that server. The first time, getting the
    Temporal server may take minutes.
    """
    out = Output(json=json)
    settings = Settings.load()
    await stack.up(settings, out.note)
    return await _show(out, settings)


async def down(json: JsonOption = False) -> None:
    """Stops the local stack. Runs and their data stay; `up` goes on from there."""
    out = Output(json=json)
    settings = Settings.load()
    before = {part.name for part in (await stack.status(settings)).parts if part.pid is not None}
    await stack.down(settings, out.note)
    if json:
        out.document({"stopped": sorted(before)})
    elif before:
        out.say(f"stopped: {', '.join(sorted(before))}; everything is kept in {settings.holdfast_home}")
    else:
        out.say(f"nothing runs in {settings.holdfast_home}")


async def status(json: JsonOption = False) -> ExitCode:
    """Shows what runs where, and whether it answers.

    Starts nothing. Exit code 3 when something is away.
    """
    return await _show(Output(json=json), Settings.load())


async def _show(out: Output, settings: Settings) -> ExitCode:
    found = await stack.status(settings)
    healthy = is_healthy(found, is_local=settings.temporal_address is None)
    if out.json:
        out.document({**found.model_dump(mode="json"), "healthy": healthy, "versions": versions()})
    else:
        show_stack(out, found, datetime.now(UTC))
    return ExitCode.OK if healthy else ExitCode.UNAVAILABLE


def is_healthy(found: StackStatus, *, is_local: bool) -> bool:
    """Whether runs can go on; at a server elsewhere anybody's worker will do."""
    if is_local:
        return all(part.state == "running" for part in found.parts)
    temporal = next(part for part in found.parts if part.name == "temporal")
    return temporal.state == "running" and bool(found.pollers)


def versions() -> dict[str, str]:
    """The versions that this program runs with."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a checkout that was never installed
            found[package] = "checkout"
    return found


def show_stack(out: Output, found: StackStatus, now: datetime) -> None:
    """Writes the stack, a block for each part."""
    for part in found.parts:
        _show_part(out, part, now)
    if not found.scripted:
        out.say(f"{'model':10} ", found.model)
    lock = {True: "in use", False: "not open", None: "a server"}[found.store_locked]
    out.say(f"{'store':10} ", found.store_url, (f"  {lock}", "dim"))
    workers = ", ".join(found.pollers) or "nobody polls it"
    out.say(f"{'queue':10} ", f"{found.task_queue} in {found.namespace}", (f"  {workers}", "dim"))
    out.say(f"{'versions':10} ", (", ".join(f"{name} {number}" for name, number in versions().items()), "dim"))


def _show_part(out: Output, part: PartStatus, now: datetime) -> None:
    facts = [part.address, part.version, f"pid {part.pid}" if part.pid else None]
    if part.since and part.state == "running":
        facts.append(f"up {duration((now - part.since).total_seconds())}")
    shown = "  ".join(fact for fact in facts if fact)
    out.say(f"{TITLES[part.name]:10} ", (f"● {part.state}", STATE_STYLES[part.state]), f"  {shown}" if shown else "")
    for place in (SCRIPTED_MARK if part.name == "model" else None, part.ui, part.log):
        if place:
            out.say(" " * 11, (str(place), "dim"))
