"""Messages with the contents of their attachments, as they are sent to models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from holdfast.chat_format import RESULT_IMAGES
from holdfast.messages import Message


def inlined(messages: Iterable[Message], contents: Mapping[str, bytes]) -> Iterator[Message]:
    """Yields messages with their contents. Images of results are in a message of their own after all results.

    Args:
        messages: of a context.
        contents: of their attachments, by digest.
    """
    shown: list[Message] = []
    for message in messages:
        if message.role != "tool" and shown:
            yield _images(shown).inlined(contents)
            shown = []
        if message.role == "tool":
            yield message
            shown += [message] if message.attachments else []
        else:
            yield message.inlined(contents) if message.attachments else message
    if shown:
        yield _images(shown).inlined(contents)


def _images(results: Sequence[Message]) -> Message:
    images = [each for result in results for each in result.attachments]
    said = f"{RESULT_IMAGES} {', '.join(each.name for each in images)}"
    placed = [each.model_copy(update={"at": len(said)}) for each in images]
    return Message(seq=results[-1].seq, role="user", content=said, attachments=placed)
