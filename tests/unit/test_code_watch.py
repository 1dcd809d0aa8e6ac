"""The watch over the code that a worker has loaded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from holdfast.stack.code_watch import changes
from holdfast.stack.process import PACKAGE_PARENT
from holdfast.stack.serving import LoadedFile, Serving, shown_files
from tests.support.tiers import patience

TIMEOUT = patience(20.0)  # seconds; reached only when a test fails


async def test_a_change_while_the_last_one_is_handled_is_noticed(tmp_path: Path) -> None:
    """A file that is saved again while the worker is checked or restarted causes another look."""
    file = tmp_path / "agents.py"
    file.write_text("MODEL = 1 / 0\n")
    loaded = LoadedFile(mtime_ns=0, size=0, digest="of what the worker has loaded")
    serving = Serving(pid=1, born="", agents=[], files={str(file): loaded})
    found = changes(lambda: serving)
    assert await anext(found) == serving
    file.write_text("MODEL = 'large'\n")
    async with asyncio.timeout(TIMEOUT):
        assert await anext(found) == serving


def test_changed_files_of_yours_are_named_before_those_of_holdfast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade changes many files of Holdfast, whose paths are short; an edited module is named first."""
    monkeypatch.chdir(tmp_path)
    package = PACKAGE_PARENT / "holdfast"
    changed = [package / "errors.py", package / "settings.py", tmp_path / "shop.py", package / "types.py"]
    assert shown_files(changed) == "shop.py, holdfast/errors.py, holdfast/settings.py and 1 more"
