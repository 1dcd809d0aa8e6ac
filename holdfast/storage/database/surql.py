"""Statements and migrations in `.surql` files."""

from __future__ import annotations

from importlib import resources

SERVER_ONLY = ".server.surql"


def statement(package: str, name: str) -> str:
    """Returns `statements/<name>.surql` of a package without comments, since the text is sent with each call."""
    lines = (resources.files(package) / "statements" / f"{name}.surql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


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
