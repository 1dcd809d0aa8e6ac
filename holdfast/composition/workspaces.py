"""Construction of what keeps workspaces and memory folders from the settings."""

from __future__ import annotations

from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.settings import Settings
from holdfast.storage.persistence import Persistence
from holdfast.workspaces.keeper import WorkspaceKeeper
from holdfast.workspaces.limits import IGNORED, KeptLimits
from holdfast.workspaces.memory_folders import KeptMemoryFolders


def workspace_keeper(settings: Settings, persistence: Persistence, roots: WorkspaceRoots) -> WorkspaceKeeper | None:
    """Returns what keeps workspaces; `None` means that they stay on their machine."""
    if persistence.files is None or not settings.workspace_snapshots:
        return None
    limits = KeptLimits(
        files=settings.workspace_max_files,
        file_bytes=settings.workspace_max_file_bytes,
        bytes=settings.workspace_max_bytes,
        ignored=(*IGNORED, *settings.workspace_ignore),
    )
    return WorkspaceKeeper(roots, persistence.files, limits)


def memory_folders(settings: Settings, persistence: Persistence) -> KeptMemoryFolders:
    """Returns the memory folders of this machine."""
    home = settings.holdfast_home
    return KeptMemoryFolders(
        settings.agent_memory_root or home / "memory", home / "memory-records", persistence.memory_files
    )
