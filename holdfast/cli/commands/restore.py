"""`restore`: takes a run back to a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.checkpoints import Effect
from holdfast.cli.attaching import AttachOption, message_of
from holdfast.cli.commanding import ByOption, user
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import count, cut, one_line, tool_call
from holdfast.cli.session import connected

EXAMPLES = """
    $ restore researcher-3f9a12bc turn-3
    $ restore clerk-1 "before paying" --message "Ask first."
"""


async def restore(
    run_id: RunIdArgument,
    checkpoint: Annotated[
        str,
        typer.Argument(metavar="CHECKPOINT", help="Its id or name, as `checkpoints` lists it.", show_default=False),
    ],
    *,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="A message to the agent that follows.")] = None,
    attach: AttachOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Takes a run back to a checkpoint.

    The model no longer sees what came after it. The current step of an open run is
    stopped; of a run that has ended, a new one begins at the point. Nothing is deleted:
    the log keeps what came after, and what tools have changed since then stays changed.
    The command lists those calls.
    """
    out = Output(json=json)
    async with connected(out) as session:
        run = session.run(run_id)
        effects = await run.effects_since(checkpoint)
        restored = await run.restore(checkpoint, message=message_of(message, attach), by=by or user())
    if json:
        out.document(
            {
                "run_id": restored.id,
                "restored": run_id,
                "checkpoint": checkpoint,
                "effects": [
                    {"turn": effect.turn, "tool": effect.call.name, "call": effect.call.id, "failed": effect.failed}
                    for effect in effects
                ],
            }
        )
        return
    if restored.id == run_id:
        out.say(f"{run_id} has gone back to {one_line(checkpoint)}")
    else:
        out.say(f"{run_id} has ended; {restored.id} begins at its {one_line(checkpoint)}")
        out.note(f"  follow it:  {command('watch', restored.id)}")
    _show_effects(out, effects)


def _show_effects(out: Output, effects: list[Effect]) -> None:
    if not effects:
        return
    out.say(f"{count(len(effects), 'call')} since then may have changed something, which stays:")
    for effect in effects:
        lead = f"  turn {effect.turn}  "
        told = " (failed)" if effect.failed else ""
        out.say((lead, "dim"), cut(f"{tool_call(effect.call)}{told}", out.width - len(lead)))
