"""Pages in a folder: each is a folder of its files, named after a hash of them."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from holdfast.errors import UsageError

MAX_FILES = 200
MAX_BYTES = 10 * 1024 * 1024
"""Of the files of one page together."""
KEPT = 100
"""Pages that are kept; older ones are removed, and their addresses no longer work."""
INDEX = "index.html"

_ID = re.compile(r"[0-9a-f]{20}")
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,100}")


class Pages:
    """The pages of one folder, which several processes may share.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, files: Mapping[str, Any]) -> str:
        """Keeps a page, and returns its id, which the same files always have.

        Args:
            files: text or bytes by path; one of them should be `index.html`.

        Raises:
            UsageError: there are no files, too many or too large ones, or a path is not accepted.
            OSError: they cannot be written.
        """
        checked = _checked(files)
        digest = hashlib.sha256()
        for path, data in sorted(checked.items()):
            digest.update(f"{path}\0{len(data)}\0".encode())
            digest.update(data)
        page = digest.hexdigest()[:20]
        if not self._is_kept(page):
            self._write(page, checked)
        self._prune()
        return page

    def read(self, page: str, path: str) -> bytes | None:
        """Returns a file of a page; `None` if there is none.

        Args:
            page: an id, as it was requested.
            path: as it was requested, so that it may be anything.
        """
        names = path.split("/")
        if not _ID.fullmatch(page) or any(not _is_name(name) for name in names):
            return None
        try:
            return self.folder.joinpath(page, *names).read_bytes()
        except OSError:  # also a folder
            return None

    def _is_kept(self, page: str) -> bool:
        try:
            os.utime(self.folder / page)
        except OSError:
            return False
        return True

    def _write(self, page: str, files: Mapping[str, bytes]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = self.folder / f".{page}-{secrets.token_hex(4)}"
        try:
            for path, data in files.items():
                file = written / path
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.write_bytes(data)
            with suppress(OSError):  # another process was faster, with the same files
                written.rename(self.folder / page)
        finally:
            shutil.rmtree(written, ignore_errors=True)

    def _prune(self) -> None:
        kept = [entry for entry in self.folder.iterdir() if _ID.fullmatch(entry.name)]
        kept.sort(key=_age, reverse=True)
        for entry in kept[KEPT:]:
            shutil.rmtree(entry, ignore_errors=True)


def _age(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0


def _checked(files: Mapping[str, Any]) -> dict[str, bytes]:
    if not isinstance(files, Mapping) or not files:
        raise UsageError(
            f"files={files!r:.80} is not accepted: it must have the files of a page, as {{{INDEX!r}: '…'}}"
        )
    if len(files) > MAX_FILES:
        raise UsageError(f"a page has at most {MAX_FILES} files, not {len(files)}")
    checked = {_checked_path(path): _as_bytes(path, data) for path, data in files.items()}
    if (size := sum(map(len, checked.values()))) > MAX_BYTES:
        raise UsageError(f"the files of a page have at most {MAX_BYTES:,} bytes together, not {size:,}")
    for path in checked:
        if any(other.startswith(f"{path}/") for other in checked):
            raise UsageError(f"{path!r} cannot be both a file and a folder")
    return checked


def _checked_path(path: object) -> str:
    parts = PurePosixPath(path).parts if isinstance(path, str) else ()
    if not parts or not all(map(_is_name, parts)):
        raise UsageError(f"the path {path!r:.80} is not accepted: use a relative one without '..', as {INDEX}")
    return "/".join(parts)


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and _NAME.fullmatch(name) is not None


def _as_bytes(path: str, data: object) -> bytes:
    if isinstance(data, str):
        return data.encode(errors="replace")
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    raise UsageError(f"the file {path!r:.80} must be text or bytes, not {type(data).__name__}")
