"""The file beside a database that says who serves it, where, and by which token."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, ValidationError

from holdfast.types import Data


class GatewayDescriptor(Data):
    """What a process must know to reach a gateway, and to see that the two understand each other."""

    pid: int
    address: str
    """host:port"""
    token: str = Field(repr=False)
    namespace: str
    database: str
    schema_version: int
    """How many migrations the process that holds the database knows."""


class DescriptorFile:
    """The file `<path>.gateway`. Whoever holds the lock of `<path>` writes and removes it, and nobody else.

    Args:
        path: the database's folder.
    """

    def __init__(self, path: Path) -> None:
        real = Path(os.path.realpath(path))  # as the lock has it
        self._file = real.with_name(f"{real.name}.gateway")

    def write(self, descriptor: GatewayDescriptor) -> None:
        """Replaces the file in one step; only its owner may read it."""
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        draft.unlink(missing_ok=True)  # one that was left might have other permissions
        opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "w") as stream:
            stream.write(descriptor.model_dump_json())
        draft.replace(self._file)

    def read(self) -> GatewayDescriptor | None:
        """The descriptor; None where there is none, or one that another version wrote."""
        try:
            return GatewayDescriptor.model_validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            return None

    def remove(self) -> None:
        """Takes the descriptor away, if there is one."""
        self._file.unlink(missing_ok=True)
