"""Detection of keywords that write, for a helpful message; the database itself enforces that reads do not write."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"""
    (?P<skip> \s+ | (?:--|\#|//)[^\n]* | /\*.*?\*/ )
    | (?P<text> '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | `(?:\\.|[^`\\])*` | ⟨(?:\\.|[^⟩\\])*⟩ )
    | (?P<word> [$]?\w+ (?: ::\w+)* )
    | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
ALONE = frozenset(["BEGIN", "CANCEL", "COMMIT"])
"""Keywords that need no object."""
WRITES = ALONE.union(
    ("ALTER", "CREATE", "DEFINE", "DELETE", "INSERT", "KILL", "LIVE", "OPTION"),
    ("REBUILD", "RELATE", "REMOVE", "UPDATE", "UPSERT", "USE"),
)
BEFORE = frozenset(["", ";", "{", "(", "[", ",", "=", ":", "RETURN", "THEN", "ELSE", "IN"])
"""Tokens that a statement may follow."""


def write_keyword(statement: str) -> str | None:
    """Returns the keyword by which a statement or a nested one writes or changes its session; `None` if none does."""
    tokens = [found for found in TOKEN.finditer(statement) if found.lastgroup != "skip"]
    previous = ""
    for found, following in zip(tokens, [*tokens[1:], None], strict=True):
        word = found[0].upper() if found.lastgroup == "word" else found[0]
        if word in WRITES and previous in BEFORE and (word in ALONE or _begins_a_name(following)):
            return word
        if found.lastgroup == "word" and word.startswith("SEQUENCE::"):
            return found[0]
        previous = word
    return None


def _begins_a_name(token: re.Match[str] | None) -> bool:
    return token is not None and (token.lastgroup in {"word", "text"} or token[0] in "|({")
