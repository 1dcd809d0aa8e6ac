"""Statements and migrations in `.surql` files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

CONDITION = re.compile(r"-- if \$(\w+)")
SERVER_ONLY = ".server.surql"


class Transaction:
    """A transaction some of whose statements are sent only if they have something to do.

    A line `-- if $name` before a statement makes it depend on the value of that name, which must not be empty. Without
    it, the statement would do nothing, but take time.

    Args:
        text: SurrealQL; each statement ends with the first line that ends with a semicolon.
    """

    def __init__(self, text: str) -> None:
        self._statements: list[tuple[str | None, str]] = []
        condition, lines = None, list[str]()
        for line in text.splitlines():
            if found := CONDITION.fullmatch(line):
                condition = found[1]
            elif not line.startswith("--"):
                lines.append(line)
                if line.endswith(";"):
                    self._statements.append((condition, "\n".join(lines)))
                    condition, lines = None, []
        self._text = lru_cache(maxsize=256)(self._text_of)

    def text(self, values: Mapping[str, Any]) -> str:
        """Returns the statements that have something to do with these values."""
        return self._text(frozenset(name for name, value in values.items() if value))

    def _text_of(self, filled: Collection[str]) -> str:
        return "\n".join(text for condition, text in self._statements if condition is None or condition in filled)


def statement(package: str, name: str) -> str:
    """Returns `statements/<name>.surql` of a package without comments, since the text is sent with each call."""
    return "\n".join(line for line in _file(package, name).splitlines() if not line.startswith("--"))


def transaction(package: str, name: str) -> Transaction:
    """Returns `statements/<name>.surql` of a package, whose statements may depend on values."""
    return Transaction(_file(package, name))


def _file(package: str, name: str) -> str:
    return (resources.files(package) / "statements" / f"{name}.surql").read_text()


def migrations(*, on_server: bool = False) -> tuple[str, ...]:
    """Returns the texts of `migrations/*.surql`, in the order of their numbers.

    Args:
        on_server: whether to append the `.server.surql` file of the same name to each. It defines the indexes that an
            embedded database does not have, see `holdfast.storage.database.local_index`.
    """
    folder = resources.files("holdfast.storage.database") / "migrations"
    texts = {file.name: file.read_text() for file in folder.iterdir() if file.name.endswith(".surql")}
    names = sorted(name for name in texts if not name.endswith(SERVER_ONLY))
    return tuple(texts[name] + (texts.get(_server_part(name), "") if on_server else "") for name in names)


def _server_part(name: str) -> str:
    return name.removesuffix(".surql") + SERVER_ONLY
