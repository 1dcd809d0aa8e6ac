"""The folders that runs may have as their workspace."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from holdfast.agents.secret_files import secret_part
from holdfast.errors import UsageError

MAX_FOLDER_NAME = 200  # characters; file systems accept 255 bytes


class WorkspaceRoots:
    """Whoever can start a run names its workspace, so a worker accepts only folders below certain roots.

    Args:
        roots: these folders.
        state: the state folder. The workspaces that runs get by default are in its folder `workspaces`, and are
            accepted; nothing else in it is.
    """

    def __init__(self, roots: Sequence[Path], state: Path) -> None:
        self._roots = [_real(root) for root in roots]
        self._state = _real(state)
        self.own = self._state / "workspaces"
        """Parent folder of the workspaces of runs that name none."""
        self.records = self._state / "workspace-records"
        """Folder for what is remembered of these workspaces."""

    def own_folder(self, run_id: str) -> Path:
        """Returns the folder of a run that names none."""
        name = quote(run_id, safe="")
        if len(name) > MAX_FOLDER_NAME:
            name = hashlib.sha256(run_id.encode()).hexdigest()
        return self.own / name

    def named(self, name: str) -> Path:
        """Returns the folder on this machine of a workspace that a run got by default, perhaps on another machine.

        Raises:
            UsageError: this is not the name of one.
        """
        if not name or name in (".", "..") or "/" in name or "\0" in name or len(name) > MAX_FOLDER_NAME:
            raise UsageError(f"{name!r:.80} is not the name of a workspace")
        return self.own / name

    def name_of(self, folder: Path) -> str | None:
        """Returns the name of a workspace that a run got by default; `None` means that it is another folder."""
        return folder.name if folder.parent == self.own else None

    def place(self, folder: str | None, own: str | None) -> Path:
        """Returns the workspace of a run on this machine.

        Args:
            folder: its path on the machine of the first worker; `None` means the current folder.
            own: its name if the run got it by default and it is kept.
        """
        return self.named(own) if own else Path(folder or ".")

    def admit(self, folder: Path) -> Path:
        """Returns a folder with all links resolved, if a run may have it as its workspace.

        Raises:
            UsageError: it may not; the message says how to allow it.
        """
        real = _real(folder)
        if self._is_own(real):
            return real
        if real.is_relative_to(self._state):
            raise UsageError(f"the workspace {str(folder)!r} is in the state folder of Holdfast: use another folder")
        above = [root for root in self._roots if real.is_relative_to(root)]
        if not above:
            raise UsageError(
                f"the workspace {str(folder)!r} is not below a folder that this worker may use "
                f"({', '.join(map(str, self._roots)) or 'none'}): set WORKSPACE_ROOTS to a folder above it, or start "
                "the worker in one, and restart the worker"
            )
        secrets = [secret_part(real.relative_to(root)) for root in above]
        if all(secrets):
            raise UsageError(
                f"the workspace {str(folder)!r} is not accepted, as {secrets[0]!r} usually holds secrets: use another "
                "folder, or name this one in WORKSPACE_ROOTS and restart the worker"
            )
        return real

    def is_private(self, path: Path, workspace: Path) -> bool:
        """Whether a path, with all links resolved, is in the state folder and not in the run's workspace there."""
        return path.is_relative_to(self._state) and not self._is_own(workspace)

    def _is_own(self, real: Path) -> bool:
        return real != self.own and real.is_relative_to(self.own)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path.expanduser()))
