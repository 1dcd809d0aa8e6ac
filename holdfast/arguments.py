"""Checks of the arguments of public functions: each error says what was given and what is accepted."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any

from holdfast.bounds import shortened
from holdfast.errors import UsageError

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,199}")
SHOWN = 80  # characters of a value in a message


def refused(name: str, value: object, accepted: str) -> UsageError:
    """Returns the error about an argument, as `limit='many' is not accepted: it must be a whole number`."""
    return UsageError(f"{name}={shortened(repr(value), SHOWN)} is not accepted: it must be {accepted}")


def checked_id(run_id: object) -> str:
    """Returns the id of a run that is to be started.

    Raises:
        UsageError: it is not accepted.
    """
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"the run id {shortened(repr(run_id), SHOWN)} is not accepted: 1 to 200 letters, digits and _ . : @ -, "
            "a letter or digit first"
        )
    return run_id


def checked_known_id(run_id: object) -> str:
    """Returns the id of a run that may exist; one that another program has started may have any characters.

    Raises:
        UsageError: it is not text, or empty.
    """
    if not isinstance(run_id, str) or not run_id:
        raise UsageError(f"the run id {shortened(repr(run_id), SHOWN)} is not accepted: it must be text, as clerk-1")
    return run_id


def checked_text(name: str, value: object) -> str:
    """Returns a text.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(value, str):
        raise refused(name, value, "text")
    return value


def checked_number(name: str, value: object, least: int) -> int:
    """Returns a whole number.

    Raises:
        UsageError: it is something else, or less than `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise refused(name, value, f"a whole number of at least {least}")
    return value


def checked_seconds(name: str, value: object) -> float | None:
    """Returns a number of seconds; `None` stays what it is.

    Raises:
        UsageError: it is something else.
    """
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise refused(name, value, "a number of seconds, or None")
    return value


def checked_folder(name: str, value: object) -> Path | None:
    """Returns the absolute path of a folder, without links; `None`, and an empty text, mean that there is none.

    Raises:
        UsageError: it is something else, or no folder can have this path.
    """
    if value is None or value == "":
        return None
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise refused(name, value, "the path of a folder, as text or a Path")
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise refused(name, value, f"a path that a folder can have ({error})") from None


def checked_names(name: str, value: object) -> list[str] | None:
    """Returns a list of names; a text is one name, and `None` stays what it is.

    Raises:
        UsageError: it is something else.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
        raise refused(name, value, "a list of names")
    found = list(value)
    if wrong := [each for each in found if not isinstance(each, str)]:
        raise refused(name, value, f"a list of names, and {wrong[0]!r:.80} is none")
    return found


def checked_mapping(name: str, value: object) -> Mapping[str, Any]:
    """Returns values by name; `None` means none.

    Raises:
        UsageError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise refused(name, value, "a mapping of names to values")
    return value


def check_instance(name: str, value: object, kinds: type | UnionType | tuple[type, ...], accepted: str) -> None:
    """Checks the type of an argument.

    Args:
        name: the argument.
        value: what was given.
        kinds: the type, or several.
        accepted: what it must be, in words.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(value, kinds):
        raise refused(name, value, accepted)
