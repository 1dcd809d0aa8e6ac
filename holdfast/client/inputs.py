"""Inputs of runs and messages: text, data, and images and files, whose contents are stored before the run begins."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel

from holdfast.agents.files import File, Loaded
from holdfast.agents.results import json_text
from holdfast.attachments import Attachment, total_fault
from holdfast.bounds import clean_text
from holdfast.errors import PayloadUnreadable, UsageError
from holdfast.ports.contents import ContentSource

RunInput = Any
"""Text, data (JSON values, pydantic models, dataclasses), an `Image` or a `File`, or a list of them and text."""
BETWEEN = "\n\n"  # the parts of a text between attachments
FORMS = "text, JSON values, pydantic models, dataclasses, and lists of text, Image and File"


@dataclass(frozen=True)
class GivenInput:
    """An input in the form in which a run takes it."""

    text: str
    attachments: list[Attachment]
    structured: bool
    """Whether the text is JSON that was made of data."""


class Inputs:
    """Takes inputs, and stores the contents of their attachments.

    Args:
        contents: returns where contents are stored; `None` means that the workers' store cannot be reached from here,
            so that requests carry them.
        max_input_bytes: of such contents together, and of the text.
    """

    def __init__(self, contents: ContentSource | None, max_input_bytes: int) -> None:
        self._contents = contents
        self.max_bytes = max_input_bytes

    async def take(self, given: RunInput, what: str = "input of a run", folder: Path | None = None) -> GivenInput:
        """Returns an input in the form in which a run takes it.

        Args:
            given: the input.
            what: it is, for messages.
            folder: that relative paths of files are below; `None` means the working folder.

        Raises:
            UsageError: it is empty, too large, of another kind, or a file of it cannot be read.
            StoreUnavailable: a content could not be stored.
        """
        parts = _parts(given, what)
        if not any(isinstance(part, File) for part in parts):
            text, structured = _text(given, what)
            self.check_size(what, text)
            return GivenInput(text, [], structured)
        loaded = await asyncio.to_thread(
            lambda: [part.load(folder) if isinstance(part, File) else part for part in parts]
        )
        return await self._stored(loaded, what)

    async def request(self, given: RunInput, folder: Path | None = None) -> dict[str, Any]:
        """Returns the fields of a request that an input sets; takes and raises what `take` does."""
        taken = await self.take(given, folder=folder)
        found: dict[str, Any] = {"input": taken.text}
        if taken.structured:
            found["structured"] = True
        return found | _attachments(taken)

    async def message(self, given: RunInput, what: str = "message") -> dict[str, Any]:
        """Returns the fields of a command that sends a message; raises what `take` raises."""
        if isinstance(given, str):  # which the command checks
            return {"text": given}
        taken = await self.take(given, what)
        return {"text": taken.text} | _attachments(taken)

    async def content(self, attachment: Attachment) -> bytes:
        """Returns the content of an attachment.

        Raises:
            UsageError: it is at a URL, or this process shares no database with the workers.
            PayloadUnreadable: it is lost.
            StoreUnavailable: the store is unavailable.
        """
        if attachment.digest is None:
            raise UsageError(f"{attachment.name!r} is not stored; it is at {attachment.url}")
        store = self._contents() if self._contents else None
        if store is None:
            raise UsageError(
                f"{attachment.name!r} is in the memory of the worker, and cannot be read from here "
                "(STATE_PERSISTENCE_BACKEND=memory)"
            )
        return await store.get(attachment.digest)

    async def are_same(self, some: Sequence[Attachment], others: Sequence[Attachment]) -> bool:
        """Returns whether attachments have the same contents at the same places of a text, whatever their names are.

        After a change of the encryption key, the same content has another digest. Then the contents are compared.

        Raises:
            StoreUnavailable: the store is unavailable.
        """
        pairs = list(zip(some, others, strict=False))
        if len(some) != len(others) or any(one.at != other.at for one, other in pairs):
            return False
        for one, other in pairs:
            if one.identity != other.identity and not await self._is_same(one, other):
                return False
        return True

    async def _is_same(self, one: Attachment, other: Attachment) -> bool:
        if one.digest is None or other.digest is None or one.size != other.size:
            return False
        try:
            return await self.content(one) == await self.content(other)
        except PayloadUnreadable:  # one that is lost cannot be the same
            return False

    async def _stored(self, parts: Sequence[Loaded | str], what: str) -> GivenInput:
        if fault := total_fault([part.attachment for part in parts if isinstance(part, Loaded)]):
            raise UsageError(f"the {what} is not accepted: {fault}")
        text, attachments, inline = "", list[Attachment](), 0
        for part in parts:
            if isinstance(part, str):
                text = f"{text}{BETWEEN if text else ''}{part}"
                continue
            attachment = await self._kept(part)
            inline += len(attachment.data or "")
            attachments.append(attachment.model_copy(update={"at": len(text)}) if text else attachment)
        if inline > self.max_bytes:
            raise UsageError(
                f"the attachments have {inline:,} bytes in base64, but at most {self.max_bytes:,} are accepted from a "
                "program that shares no database with the workers (STATE_PERSISTENCE_BACKEND=memory)"
            )
        self.check_size(what, text)
        return GivenInput(text, attachments, structured=False)

    async def _kept(self, part: Loaded) -> Attachment:
        if part.data is None:
            return part.attachment
        store = self._contents() if self._contents else None
        if store is not None:
            return part.attachment.stored(await store.put(part.data))
        known = part.attachment
        return Attachment(name=known.name, media_type=known.media_type, data=base64.b64encode(part.data).decode())

    def check_size(self, what: str, *texts: str) -> None:
        """Checks that texts are small enough to be part of a request.

        Raises:
            UsageError: together they are too large.
        """
        size = sum(len(clean_text(text).encode()) for text in texts)
        if size > self.max_bytes:
            raise UsageError(
                f"the {what} has {size:,} bytes, but at most {self.max_bytes:,} are accepted; "
                "put it in a file of the workspace"
            )


def _attachments(taken: GivenInput) -> dict[str, Any]:
    attached = [each.model_dump(exclude_unset=True) for each in taken.attachments]
    return {"attachments": attached} if attached else {}


def _parts(given: RunInput, what: str) -> list[Any]:
    """Returns the parts of an input: a list with an image or a file among others, or the only part."""
    if not isinstance(given, list | tuple) or not any(isinstance(part, File) for part in given):
        return [given]
    for number, part in enumerate(given, 1):
        if not isinstance(part, str | File):
            raise UsageError(
                f"part {number} of the {what} is {_kind(part)}; beside an Image or a File, parts are text, Image or "
                "File: pass data as JSON text"
            )
    return [part for part in given if not isinstance(part, str) or part.strip()]


def _text(given: RunInput, what: str) -> tuple[str, bool]:
    """Returns the text of an input without attachments, and whether it is JSON that was made of data."""
    if isinstance(given, str) and given.strip():
        return given, False
    if _is_nothing(given):
        forms = "text that is not empty" if given is None or isinstance(given, str) else "data that is not empty"
        raise UsageError(f"the {what} must be {forms}, not {given!r}")
    if isinstance(given, PurePath):
        raise UsageError(f"the {what} is a path; pass its content with File({str(given)!r}), or its name as text")
    if isinstance(given, bytes | bytearray | memoryview):
        raise UsageError(f"the {what} is bytes; decode text, or pass File(data, name='report.pdf') or Image(data)")
    if not _is_data(given):
        raise UsageError(f"the {what} must be {FORMS}, not {_kind(given)}")
    try:
        _check_data(given)
        return json_text(given), True
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the {what} cannot be passed as JSON: {error}") from None


def _is_nothing(given: RunInput) -> bool:
    if isinstance(given, str):
        return not given.strip()
    return given is None or (isinstance(given, dict | list | tuple) and not given)


def _is_data(given: RunInput) -> bool:
    is_dataclass = dataclasses.is_dataclass(given) and not isinstance(given, type)
    return is_dataclass or isinstance(given, BaseModel | dict | list | tuple | bool | int | float)


def _check_data(given: RunInput) -> None:
    """Checks what JSON would take without complaint, although it should not be in an input."""
    for value in _values(given):
        if isinstance(value, File):
            raise TypeError(f"{type(value).__name__} is inside data; pass a list of text, Image and File instead")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")


def _values(given: RunInput) -> Iterable[Any]:
    """Yields the values inside of data, at any depth."""
    waiting, seen = [given], set[int]()
    while waiting:
        value = waiting.pop()
        yield value
        if id(value) in seen:
            continue
        if isinstance(value, BaseModel) and not isinstance(value, File):
            seen.add(id(value))
            waiting += list(vars(value).values())
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            seen.add(id(value))
            waiting += [getattr(value, each.name) for each in dataclasses.fields(value)]
        elif isinstance(value, dict):
            seen.add(id(value))
            waiting += list(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            seen.add(id(value))
            waiting += list(value)


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}" if not isinstance(value, type) else f"the class {value.__name__}"
