"""Images and files of messages. A message refers to their content, which is stored once, by its digest."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from holdfast.bounds import Count, Text
from holdfast.data import Tolerant
from holdfast.media_types import IMAGES, is_text, media_type_of, name_for

MAX_FILE_BYTES = 20_000_000
"""Of one file: providers refuse requests of more than some 30 MB, and base64 adds a third."""
MAX_TEXT_BYTES = 1_000_000
"""Of a text file, which takes a token for each four bytes of the model's context."""
MAX_TOTAL_BYTES = 50_000_000
"""Of the files of one message."""
MAX_ATTACHMENTS = 50  # of one message
MAX_FILE_NAME = 255  # characters
MAX_URL = 4_096  # characters

IMAGE_TOKENS = 1_100
"""Of an image; providers count 85 to 1,600, by its size and their rules."""
FILE_TOKENS = 1_500
"""Of a file at least, such as a page of a PDF."""
BYTES_PER_FILE_TOKEN = 50
"""Of a PDF: a page has some 75 KB, and some 1,500 tokens."""
BYTES_PER_AUDIO_TOKEN = 1_600
"""Of audio: a second has 16 KB as MP3, and some 10 tokens."""


class Attachment(Tolerant):
    """An image or a file of a message.

    It has a `digest`, which names its content in the store, or a `url`. A request that is written by hand may instead
    have the content itself, as `data`; the worker stores it before the run begins.
    """

    name: Annotated[Text, Field(max_length=MAX_FILE_NAME)] = ""
    media_type: Annotated[Text, Field(max_length=MAX_FILE_NAME)] = ""
    size: Count = 0
    """Bytes of the content; 0 if it is at a URL."""
    digest: Annotated[str | None, Field(exclude_if=lambda digest: digest is None)] = None
    """Names the content in the store: its sha256, in hex, or a keyed hash if the store is encrypted."""
    url: Annotated[Text | None, Field(max_length=MAX_URL, exclude_if=lambda url: url is None)] = None
    """An https URL of an image, which the provider reads."""
    data: Annotated[str | None, Field(exclude_if=lambda data: data is None)] = None
    """The content in base64; only in requests, and never in a run's log."""
    at: Annotated[int, Field(ge=0, exclude_if=lambda at: not at)] = 0
    """Number of characters of the message's text before it."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.digest is None) + (self.url is None) + (self.data is None) != 2:
            raise ValueError("an attachment has one of `url` (an image), `data` (base64) and `digest`")
        if self.digest is not None and not (self.name and self.media_type):
            raise ValueError("an attachment with a `digest` has a `name` and a `media_type`, too")
        if self.url is not None:
            check_url(self.url)
            self.name = self.name or (unquote(PurePosixPath(urlsplit(self.url).path).name) or "image")[:MAX_FILE_NAME]
            self.media_type = self.media_type or media_type_of(self.name) or "image/*"
        if self.data is not None:
            content = self.content()
            self.media_type = self.media_type or media_type_of(self.name, content) or ""
            if fault := content_fault(self.name, self.media_type, len(content)):
                raise ValueError(fault)
            self.name = self.name or name_for(self.media_type)
            self.size = len(content)
        return self

    def content(self) -> bytes:
        """Returns the content of `data`.

        Raises:
            ValueError: it is not base64.
        """
        try:
            return base64.b64decode(self.data or "", validate=True)
        except binascii.Error as error:
            raise ValueError(f"`data` is not base64: {error}") from None

    def stored(self, digest: str) -> Attachment:
        """Returns the attachment with its content in the store."""
        known = self.model_dump(exclude={"data", "digest"}, exclude_unset=True)
        return Attachment(
            **{**known, "name": self.name, "media_type": self.media_type, "size": self.size}, digest=digest
        )

    @property
    def is_image(self) -> bool:
        """Whether models see it as a picture."""
        return self.url is not None or self.media_type in IMAGES

    @property
    def is_text(self) -> bool:
        """Whether models read it as text."""
        return not self.is_image and is_text(self.media_type)

    @property
    def tokens(self) -> int:
        """Its tokens in a model's context, estimated."""
        if self.is_image:
            return IMAGE_TOKENS
        if self.is_text:
            return -(-self.size // 4)
        if self.media_type.startswith("audio/"):
            return -(-self.size // BYTES_PER_AUDIO_TOKEN)
        return max(FILE_TOKENS, self.size // BYTES_PER_FILE_TOKEN)

    @property
    def line(self) -> str:
        """One line about it for people: `x.png (image/png, 12 KB)`."""
        name = " ".join(self.name.split()) or "unnamed"
        return f"{name} ({self.media_type}, {'at a URL' if self.url else size_text(self.size)})"

    @property
    def identity(self) -> tuple[str | None, int]:
        """What distinguishes it from other ones: its content, not its name, and its place in the message."""
        return self.digest or self.data or self.url, self.at


def lines(attachments: Iterable[Attachment]) -> str:
    """Returns attachments as text for people and for models that do not get them, in one line."""
    return ", ".join(each.line for each in attachments)


def with_lines(text: str, attachments: Iterable[Attachment]) -> str:
    """Returns a text with its attachments behind it, each as a line in brackets, for people."""
    return "\n".join(filter(None, [text, *(f"[{each.line}]" for each in attachments)]))


def check_url(url: str) -> None:
    """Checks the URL of an image.

    Raises:
        ValueError: it is not an https URL.
    """
    if not url.startswith("https://") or not urlsplit(url).hostname or any(sign.isspace() for sign in url):
        raise ValueError(f"{url[:80]!r} is not an https URL; images from elsewhere are passed as a file or as bytes")


def content_fault(name: str, media_type: str, size: int) -> str | None:
    """Returns why a file cannot be attached, in words that say what to do; `None` if it can.

    Args:
        name: of the file.
        media_type: of the file; empty if it is not known.
        size: in bytes.
    """
    shown = repr(name) if name else "the file"
    if size == 0:
        return f"{shown} is empty"
    if not media_type or "/" not in media_type:
        return f"the type of {shown} is not known: name it, as media_type='application/pdf'"
    if media_type.startswith("image/") and media_type not in IMAGES and not is_text(media_type):
        return f"{shown} is {media_type}, which models do not accept: convert it to PNG, JPEG, GIF or WebP"
    limit = MAX_TEXT_BYTES if is_text(media_type) else MAX_FILE_BYTES
    if size > limit:
        return (
            f"{shown} has {size:,} bytes, but at most {limit:,} of a {'text' if is_text(media_type) else 'file'} are "
            "accepted: attach less, or put it in the workspace, where tools read it"
        )
    return None


def total_fault(attachments: Iterable[Attachment]) -> str | None:
    """Returns why attachments cannot be those of one message; `None` if they can."""
    sizes = [each.size for each in attachments]
    if len(sizes) > MAX_ATTACHMENTS:
        return f"a message has at most {MAX_ATTACHMENTS} attachments, not {len(sizes):,}"
    if sum(sizes) > MAX_TOTAL_BYTES:
        return f"the attachments have {sum(sizes):,} bytes together, but at most {MAX_TOTAL_BYTES:,} are accepted"
    return None


def _of_one_message(attachments: list[Attachment]) -> list[Attachment]:
    if fault := total_fault(attachments):
        raise ValueError(fault)
    return attachments


AttachmentList = Annotated[list[Attachment], Field(exclude_if=lambda attachments: not attachments)]
"""Attachments, which take no byte if there are none."""
MessageAttachments = Annotated[AttachmentList, AfterValidator(_of_one_message)]
"""Likewise, those of one message, whose number and size are limited."""


def size_text(size: int) -> str:
    """Returns a number of bytes for people, as `12 KB`."""
    if size < 1_000:
        return f"{size} B"
    return f"{size / 1_000:.0f} KB" if size < 999_500 else f"{size / 1_000_000:,.1f} MB"
