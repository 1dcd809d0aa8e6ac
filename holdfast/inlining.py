"""Messages with the contents of their attachments, as they are sent to models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from holdfast.chat_format import RESULT_FILES, RESULT_IMAGES
from holdfast.messages import Message


def inlined(messages: Iterable[Message], contents: Mapping[str, bytes]) -> Iterator[Message]:
    """Yields messages with their contents. Those of results are in a message of their own after all results.

    Args:
        messages: of a context.
        contents: of their attachments, by digest.
    """
    shown: list[Message] = []
    for message in messages:
        if message.role != "tool" and shown:
            yield _files(shown).inlined(contents)
            shown = []
        if message.role == "tool":
            yield message
            shown += [message] if message.attachments else []
        else:
            yield message.inlined(contents) if message.attachments else message
    if shown:
        yield _files(shown).inlined(contents)


def _files(results: Sequence[Message]) -> Message:
    files = [each for result in results for each in result.attachments]
    lead = RESULT_IMAGES if all(each.is_image for each in files) else RESULT_FILES
    said = f"{lead} {', '.join(each.name for each in files)}"
    placed = [each.model_copy(update={"at": len(said)}) for each in files]
    return Message(seq=results[-1].seq, role="user", content=said, attachments=placed)
