"""Answers of web servers as text for a model."""

from __future__ import annotations

import asyncio
import codecs
import json
import re

from holdfast.tools.fetching import Fetched
from holdfast.tools.readable import readable

BINARY_PROBE = 8 * 1024  # bytes at the start of a body of unknown type; with a NUL among them, it is not text

_TEXT = re.compile(
    r"text/.*|application/(?:.*\+)?(?:json|xml|yaml|toml|javascript|ecmascript|x-ndjson|jsonlines|sql|graphql)"
    r"|application/x-(?:yaml|javascript|sh|www-form-urlencoded)|image/svg\+xml"
)
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_CHARSET_PROBE = 2048  # bytes at the start of a page that may name its encoding
_SAFE_CODEC = re.compile(r"(?:utf|iso8859|iso2022|cp|koi8|gb|big5|shift_jis|euc|mac|ascii|hz|johab|tis)[\w-]*")
"""Python also knows encodings that are not for documents, some of which take quadratic time."""
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def is_text(answer: Fetched) -> bool:
    """Whether an answer is text, as its server says, or as it looks if the server does not."""
    if answer.media_type and answer.media_type != "application/octet-stream":
        return bool(_TEXT.fullmatch(answer.media_type))
    return b"\0" not in answer.body[:BINARY_PROBE]


async def text_of(answer: Fetched) -> str:
    """Returns the text of an answer: of a page what a reader sees, of anything else what it contains."""
    text = _decoded(answer)
    if answer.media_type in _HTML or (not answer.media_type and text.lstrip()[:14].lower() == "<!doctype html"):
        return await asyncio.to_thread(readable, text, answer.url)
    return text


def summary_of(answer: Fetched) -> str:
    """Returns one line with the status, the address, the type and the size of an answer."""
    kind = answer.media_type or "unknown type"
    size = f"{len(answer.body):,} bytes" if answer.is_whole else f"the first {len(answer.body):,} bytes"
    return f"{answer.status} {answer.url} ({kind}, {size})"


def _decoded(answer: Fetched) -> str:
    for mark, encoding in _MARKS.items():
        if answer.body.startswith(mark):
            return answer.body.decode(encoding, "replace")
    named = _CHARSET.search(answer.headers.get("content-type", ""))
    if named is None and answer.media_type in _HTML:
        named = _CHARSET.search(answer.body[:_CHARSET_PROBE].decode("latin-1"))
    return answer.body.decode(_codec(named[1] if named else None, answer.body), "replace")


def _codec(name: str | None, body: bytes) -> str:
    try:
        known = codecs.lookup(name).name if name else json.detect_encoding(body[:4])
    except LookupError:
        return "utf-8"
    return known if _SAFE_CODEC.fullmatch(known) else "utf-8"
