"""Settings of workspaces and memory folders, which are kept in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode


class WorkspaceSettings(BaseSettings):
    """The part of the settings that says what of workspaces is kept, and where agents keep files."""

    workspace_snapshots: bool = True
    """Whether the workspaces that runs get by default are recorded in the store after each call that changes them."""
    workspace_max_files: int = Field(default=20_000, ge=1, le=200_000)
    """Files and folders of one workspace that are kept."""
    workspace_max_file_bytes: int = Field(default=64 * 1024 * 1024, ge=1, le=1024**3)
    """Bytes of the largest file that is kept."""
    workspace_max_bytes: int = Field(default=1024**3, ge=1, le=100 * 1024**3)
    """Bytes of all files of one workspace that are kept."""
    workspace_ignore: Annotated[tuple[str, ...], NoDecode] = ()
    """Further names of files and folders that are not kept, as `*.tmp` or `build`. Comma-separated."""
    agent_memory_root: Path | None = None
    """Folder for the memory folders of agents; `None` means one in the state folder."""
