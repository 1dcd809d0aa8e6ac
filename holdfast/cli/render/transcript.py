"""Messages of a transcript in full."""

from __future__ import annotations

from holdfast._util.terminal import clean
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import one_line
from holdfast.types import Message

_STYLES = {"system": "dim", "user": "bold cyan", "assistant": "bold green", "tool": "bold yellow"}


def show_message(out: Output, message: Message) -> None:
    """Writes a message below a line that names its role."""
    facts = [str(message.seq), message.role]
    if message.tool_call_id:
        facts.append(f"answers {clean(message.tool_call_id)}")
    if message.partial:
        facts.append("incomplete")
    out.say((f"── {' · '.join(facts)}", _STYLES[message.role]))
    if message.shown:
        out.say(clean(message.shown).rstrip())
    for call in message.tool_calls:
        out.say(("→ ", "cyan"), f"{one_line(call.name)} {clean(call.arguments)}", (f"  {clean(call.id)}", "dim"))
    out.say()
