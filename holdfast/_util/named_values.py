"""Values by name, as people write them in a setting: `groq=5, local=2`, or one value for all names."""

from __future__ import annotations

import re

ALL = ""
"""The name of a value for all names that have none of their own."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


def named_values(text: str, *, unnamed: bool = False) -> dict[str, str]:
    """Parses a comma-separated list of `name=value`.

    Args:
        text: the list.
        unnamed: whether one value without a name is accepted, which is returned by the name `ALL`.

    Raises:
        ValueError: a part has no name or no value, or a name occurs twice; no value is quoted, as it may be secret.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = part.partition("=")
        name, value = (name.strip(), value.strip()) if sign else (ALL, part)
        if not value or not (_NAME.fullmatch(name) or (unnamed and not sign)):
            raise ValueError("it must be a list such as groq=VALUE, local=VALUE, with names in small letters")
        if name in found:
            raise ValueError(f"{name!r} has two values" if name else "two values have no name")
        found[name] = value
    return found
