"""The descriptor of a gateway: a file beside the database with its process, address and token."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, ValidationError

from holdfast.types import Data


class GatewayDescriptor(Data):
    """What a client needs to connect to a gateway and to check that the two are compatible."""

    pid: int
    address: str
    """host:port"""
    token: str = Field(repr=False)
    namespace: str
    database: str
    schema_version: int
    """Number of migrations that the owner knows."""


class DescriptorFile:
    """The file `<path>.gateway`. Only the process that holds the lock of `<path>` writes and removes it.

    Args:
        path: the database's folder.
    """

    def __init__(self, path: Path) -> None:
        real = Path(os.path.realpath(path))  # as in PathLock
        self._file = real.with_name(f"{real.name}.gateway")

    def write(self, descriptor: GatewayDescriptor) -> None:
        """Replaces the file atomically; only this user may read it."""
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        draft.unlink(missing_ok=True)  # a leftover file might have other permissions
        opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "w") as stream:
            stream.write(descriptor.model_dump_json())
        draft.replace(self._file)

    def read(self) -> GatewayDescriptor | None:
        """Returns the descriptor; `None` if there is none, or another version wrote it."""
        try:
            return GatewayDescriptor.model_validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            return None

    def remove(self) -> None:
        """Removes the descriptor, if there is one."""
        self._file.unlink(missing_ok=True)
