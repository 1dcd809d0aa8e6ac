"""Copies of workspaces: whole or not at all, within limits, without what a fork must not have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.activities.workspace_copy import Stopped, WorkspaceCopier
from holdfast.errors import UsageError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with two files, one of them in a folder."""
    folder = tmp_path / "source"
    (folder / "notes").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "notes" / "b.txt").write_text("bb")
    return folder


def copier(*, max_bytes: int = 100, max_files: int = 10) -> WorkspaceCopier:
    """A copier that nobody stops."""
    return WorkspaceCopier(lambda: False, max_bytes=max_bytes, max_files=max_files)


def left(folder: Path) -> list[str]:
    """The names of everything in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_are_copied(source: Path, tmp_path: Path) -> None:
    """The copy has the same files, whose owner may change them, and the original stays."""
    (source / "a.txt").chmod(0o444)
    target = tmp_path / "copies" / "target"
    assert copier().copy(source, target) == 3
    assert left(target) == left(source) == ["a.txt", "notes", "notes/b.txt"]
    (target / "a.txt").write_text("changed")
    assert (source / "a.txt").read_text() == "a"
    assert left(target.parent)[:1] == ["target"], "nothing else is left beside it"


def test_what_leads_elsewhere_or_is_secret_is_left_out(source: Path, tmp_path: Path) -> None:
    """Links, pipes, and files that usually hold secrets are not copied."""
    (tmp_path / "outside.txt").write_text("outside")
    (source / "link.txt").symlink_to(tmp_path / "outside.txt")
    (source / "up").symlink_to(tmp_path)
    (source / ".env").write_text("KEY=1")
    (source / "notes" / "id_rsa").write_text("key")
    (source / ".git").mkdir()
    os.mkfifo(source / "pipe")
    copier().copy(source, tmp_path / "target")
    assert left(tmp_path / "target") == ["a.txt", "notes", "notes/b.txt"]


@pytest.mark.parametrize(("limits", "said"), [({"max_bytes": 2}, "2 bytes"), ({"max_files": 2}, "2 files and folders")])
def test_a_large_workspace_is_not_copied(source: Path, tmp_path: Path, limits: dict[str, int], said: str) -> None:
    """The message says what the limit is and what to do, and nothing is left."""
    with pytest.raises(UsageError, match=f"has more than {said}, and is not copied: name a folder"):
        copier(**limits).copy(source, tmp_path / "target")
    assert left(tmp_path) == ["source", "source/a.txt", "source/notes", "source/notes/b.txt"]
    copier(max_bytes=3, max_files=3).copy(source, tmp_path / "target")


def test_a_copy_that_is_stopped_leaves_nothing(source: Path, tmp_path: Path) -> None:
    """A cancel takes effect within a file."""
    asked = []

    def is_stopped() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Stopped):
        WorkspaceCopier(is_stopped).copy(source, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_copy_that_exists_stays(source: Path, tmp_path: Path) -> None:
    """A second attempt, or a reset of the fork, does not undo what tools have written meanwhile."""
    target = tmp_path / "target"
    copier().copy(source, target)
    (target / "a.txt").write_text("by the fork")
    assert copier().copy(source, target) == 0
    assert (target / "a.txt").read_text() == "by the fork"


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    """The reason of the operating system is part of the message."""
    with pytest.raises(UsageError, match=r"cannot be copied: .*No such file"):
        copier().copy(tmp_path / "nowhere", tmp_path / "target")
