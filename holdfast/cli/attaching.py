"""Images and files that a command attaches to a message, and the way back to their content."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.client.inputs import RunInput
    from holdfast.client.run_handle import RunHandle

AttachOption = Annotated[
    list[str] | None,
    typer.Option("--attach", metavar="FILE", help="An image or a file, or the https URL of an image; repeatable."),
]
URL = "https://"


def with_files(text: str, attach: Sequence[str] | None) -> RunInput:
    """Returns the input of a run, or a message, with attachments behind its text."""
    from holdfast.agents.files import File, Image  # noqa: PLC0415 - `--help` needs no agents

    if not attach:
        return text
    return [text, *(Image(place) if place.startswith(URL) else File(place) for place in attach)]


def message_of(text: str | None, attach: Sequence[str] | None) -> RunInput | None:
    """Returns a message that need not be given; `None` means none. One with attachments may have no text."""
    return None if text is None and not attach else with_files(text or "", attach)


async def write_attachment(run: RunHandle, number: int) -> None:
    """Writes the content of an attachment to standard output.

    Raises:
        UsageError: there is none of this number, or standard output is a terminal.
    """
    if sys.stdout.isatty():
        raise UsageError(f"--attachment {number} writes bytes: redirect them to a file, as `> picture.png`")
    content = await run.attachment(number)
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
