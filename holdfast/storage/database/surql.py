"""Reads the statements that stand in files."""

from __future__ import annotations

from importlib import resources


def statement(package: str, name: str) -> str:
    """The text of `statements/<name>.surql` in `package`, without its comments: it is sent with every call."""
    lines = (resources.files(package) / "statements" / f"{name}.surql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def migrations() -> tuple[str, ...]:
    """The texts of `migrations/*.surql`, in the order of their numbers."""
    folder = resources.files("holdfast.storage.database") / "migrations"
    files = (file for file in folder.iterdir() if file.name.endswith(".surql"))
    return tuple(file.read_text() for file in sorted(files, key=lambda file: file.name))
