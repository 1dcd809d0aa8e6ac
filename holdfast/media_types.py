"""Media types of files, found from their first bytes and their names: the same on every machine."""

from __future__ import annotations

from pathlib import PurePath

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""The images that chat completions accept."""
PDF = "application/pdf"
TEXT = "text/plain"
AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
"""The names that chat completions have for the audio that they accept."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", PDF),
    (b"ID3", "audio/mpeg"),
)
_BY_SUFFIX = {
    "csv": "text/csv",
    "htm": "text/html",
    "html": "text/html",
    "md": "text/markdown",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "svg": "image/svg+xml",
    "bmp": "image/bmp",
    "heic": "image/heic",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": PDF,
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "zip": "application/zip",
}
_TEXT_NAMES = ("json", "jsonl", "xml", "yaml", "toml", "javascript", "sql")
_TEXTS = ("image/svg+xml", *(f"application/{name}" for name in _TEXT_NAMES))
_SUFFIXES = {"text/plain": "txt"} | {kind: suffix for suffix, kind in reversed(_BY_SUFFIX.items())}


def is_text(media_type: str) -> bool:
    """Whether files of this type are text."""
    return media_type.startswith("text/") or media_type in _TEXTS


def media_type_of(name: str, data: bytes | None = None) -> str | None:
    """Returns the media type of a file, by its content if that says so, else by its name; `None` if neither does.

    Args:
        name: of the file.
        data: its content; `None` means that it is not known.
    """
    by_name = _BY_SUFFIX.get(PurePath(name).suffix[1:].lower())
    if data is None:
        return by_name
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if data[8:12] == b"WEBP" else "audio/wav"
    if by_name in IMAGES or by_name == PDF:
        by_name = None  # its content is something else
    return by_name or (TEXT if _is_utf8(data) else None)


def name_for(media_type: str) -> str:
    """Returns the name of a file that has none."""
    kind = media_type.partition("/")[0]
    suffix = _SUFFIXES.get(media_type)
    stem = kind if kind in ("image", "audio") else "file"
    return f"{stem}.{suffix}" if suffix else stem


def _is_utf8(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False
