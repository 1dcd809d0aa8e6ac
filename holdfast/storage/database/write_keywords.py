"""Tells from a statement's text that it is meant to write: for a message, the refusing is the database's."""

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
"""Those that may stand without what they are done to."""
WRITES = ALONE.union(
    ("ALTER", "CREATE", "DEFINE", "DELETE", "INSERT", "KILL", "LIVE", "OPTION"),
    ("REBUILD", "RELATE", "REMOVE", "UPDATE", "UPSERT", "USE"),
)
BEFORE = frozenset(["", ";", "{", "(", "[", ",", "=", ":", "RETURN", "THEN", "ELSE", "IN"])
"""What a statement may follow."""


def write_keyword(statement: str) -> str | None:
    """The word by which a statement, or one inside it, writes, or changes its session; None: there is none."""
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
