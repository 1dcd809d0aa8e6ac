"""Files and images, as inputs of runs, and as arguments and results of tools."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, PrivateAttr, RootModel, ValidationError

from holdfast.attachments import MAX_FILE_BYTES, Attachment, check_url, content_fault
from holdfast.bounds import shortened
from holdfast.errors import UsageError
from holdfast.media_types import IMAGES, media_type_of, name_for

URL_STARTS = ("https://", "http://", "data:", "ftp://")


@dataclass(frozen=True)
class Loaded:
    """An image or a file that was read."""

    attachment: Attachment
    """With neither digest nor data, unless it is a URL."""
    data: bytes | None
    """Its content; `None` if it is at a URL."""


class File(RootModel[Path]):
    """A file: `File("report.pdf")`, or `File(data, name="report.pdf")`.

    As a part of an input, it is a file of this machine, whose content the model gets. A tool that returns one, or a
    list of them, reports it as written; a relative path is below the workspace. A parameter of a tool of this type is a
    path that the model passes.

    Args:
        source: the path of the file, or its content.
        name: what the model is told of its name; `None` means that of the path.
        media_type: as `application/pdf`; `None` finds it out from the content, else from the name.

    Raises:
        UsageError: the source is neither a path nor bytes.
    """

    model_config = ConfigDict(json_schema_extra={"description": "The path of a file, relative to the workspace."})

    _data: bytes | None = PrivateAttr(default=None)
    _name: str | None = PrivateAttr(default=None)
    _media_type: str | None = PrivateAttr(default=None)
    _url: str | None = PrivateAttr(default=None)

    def __init__(
        self, source: str | Path | bytes, /, *, name: str | None = None, media_type: str | None = None
    ) -> None:
        url, data = None, None
        given: object = source
        if isinstance(source, bytes | bytearray | memoryview):
            data, source = bytes(source), Path(name or ".")
        elif isinstance(source, str) and source.startswith(URL_STARTS):
            url = self._checked_url(source)
        elif not isinstance(given, str | os.PathLike):
            shown = shortened(repr(given), 80)
            raise UsageError(f"{type(self).__name__}({shown}): it must be a path, or the content as bytes")
        super().__init__(source)
        self._data, self._name, self._media_type, self._url = data, name, media_type, url

    @classmethod
    def _checked_url(cls, url: str) -> str:
        raise UsageError(
            f"{cls.__name__}({url[:80]!r}): only an Image may be at a URL; download it, and pass its bytes"
        )

    @property
    def path(self) -> Path:
        """The path as it was given; a relative one is below the workspace."""
        return self.root

    @property
    def has_path(self) -> bool:
        """Whether it is a file of this machine, not bytes or a URL."""
        return self._data is None and self._url is None

    def __str__(self) -> str:
        if self._data is not None:
            return self._name or type(self).__name__.lower()
        return self._url or str(self.root)

    def load(self, folder: Path | None = None) -> Loaded:
        """Reads the file; this blocks.

        Args:
            folder: that a relative path is below; `None` means the working folder.

        Raises:
            UsageError: it cannot be read, is empty, or is larger than a message accepts; the message says what to do.
        """
        shown = f"{type(self).__name__}({str(self)[:200]!r})"
        try:
            if self._url is not None:
                known = {"name": self._name, "media_type": self._media_type}
                given = {name: value for name, value in known.items() if value is not None}
                return Loaded(Attachment(url=self._url, **given), None)
            data = self._data if self._data is not None else _read(self.root if folder is None else folder / self.root)
            own_name = self._name if self._name is not None or self._data is not None else self.root.name
            media_type = self._media_type or media_type_of(own_name or "", data) or ""
            if fault := self._fault(own_name or "", media_type, len(data)):
                raise UsageError(f"{shown} cannot be attached: {fault}")
            name = own_name or name_for(media_type)
            return Loaded(Attachment.model_construct(name=name, media_type=media_type, size=len(data)), data)
        except OSError as error:
            raise UsageError(f"{shown} cannot be read: {error.strerror or error}") from None
        except ValidationError as error:
            raise UsageError(f"{shown} cannot be attached: {error.errors()[0]['msg']}") from None

    def _fault(self, name: str, media_type: str, size: int) -> str | None:
        return content_fault(name, media_type, size)


class Image(File):
    """A picture: `Image("chart.png")`, `Image(data)`, or `Image("https://example.org/chart.png")`.

    Models see PNG, JPEG, GIF and WebP. A URL stays a URL, which the provider reads. A tool that returns an image shows
    it to the model.
    """

    @classmethod
    def _checked_url(cls, url: str) -> str:
        try:
            check_url(url)
        except ValueError as error:
            raise UsageError(f"Image: {error}") from None
        return url

    def _fault(self, name: str, media_type: str, size: int) -> str | None:
        fault = super()._fault(name, media_type, size)
        if fault is None and media_type not in IMAGES:
            return f"it is {media_type}, and no image; pass it as a File"
        return fault


def _read(path: Path) -> bytes:
    """Returns the content of a regular file, at most one byte more than a message accepts."""
    try:
        opened = os.open(path.expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (RuntimeError, ValueError) as error:
        raise OSError(f"no file can have this path: {error}") from None
    with os.fdopen(opened, "rb") as file:
        kind = os.fstat(file.fileno())
        if not stat.S_ISREG(kind.st_mode):
            raise OSError("it is a folder; attach its files" if stat.S_ISDIR(kind.st_mode) else "it is not a file")
        if kind.st_size > MAX_FILE_BYTES:
            raise OSError(f"it has {kind.st_size:,} bytes, but at most {MAX_FILE_BYTES:,} are accepted")
        return file.read(MAX_FILE_BYTES + 1)


class NotInWorkspace(ValueError):
    """A tool returned a file that is not one of its run's workspace."""


def returned_files(returned: Any, workspace: Path | None) -> list[str] | None:
    """Returns the files that a tool has returned, relative to the workspace; `None` if it returned something else.

    Args:
        returned: a `File`, or a list of them. A `Path` counts if it is a file of the workspace.
        workspace: of the run; `None` means that it is not known, so that paths stay as they are.

    Raises:
        NotInWorkspace: a `File` is not a file of the workspace.
    """
    values = _values(returned)
    if not values or not all(isinstance(value, File | Path) for value in values):
        return None
    places = []
    for value in values:
        if isinstance(value, File) and not value.has_path:
            places.append(str(value))
            continue
        place = _place(value.root if isinstance(value, File) else value, workspace)
        if place is None:
            if isinstance(value, File):
                raise NotInWorkspace(f"{str(value)!r} is not a file of the workspace")
            return None
        places.append(place)
    return places


def written_files(returned: Any, places: list[str]) -> list[str]:
    """Returns which of these places are files of the workspace, not contents or URLs."""
    pairs = zip(_values(returned), places, strict=True)
    return [place for value, place in pairs if not isinstance(value, File) or value.has_path]


def returned_images(returned: Any) -> list[Image]:
    """Returns the images that a tool has returned, which the model is shown: one, or those of a list."""
    return [value for value in _values(returned) if isinstance(value, Image)]


def _values(returned: Any) -> list[Any]:
    return list(returned) if isinstance(returned, list | tuple) else [returned]


def _place(path: Path, workspace: Path | None) -> str | None:
    """Returns a path relative to the workspace, with all links resolved; `None` if there is no such file in it."""
    if workspace is None:
        return str(path)
    root = workspace.resolve()
    real = (root / path).resolve()
    return real.relative_to(root).as_posix() if real.is_file() and real.is_relative_to(root) else None
