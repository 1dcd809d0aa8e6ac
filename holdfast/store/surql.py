"""Reads the statements that stand in files."""

from __future__ import annotations

from importlib import resources

_HERE = resources.files("holdfast.store")


def statement(name: str) -> str:
    """The text of `statements/<name>.surql`, without its comments: it is sent with every call."""
    lines = (_HERE / "statements" / f"{name}.surql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def migrations() -> tuple[str, ...]:
    """The texts of `migrations/*.surql`, in the order of their numbers."""
    files = (file for file in (_HERE / "migrations").iterdir() if file.name.endswith(".surql"))
    return tuple(file.read_text() for file in sorted(files, key=lambda file: file.name))
