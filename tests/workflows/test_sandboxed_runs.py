"""Commands of runs: a cancel ends them with all their processes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast import RunStatus
from holdfast.agents.shipped.coder import coder
from holdfast.sandbox import Mode
from tests.support.lab import SOON, Lab, eventually
from tests.support.sandboxes import HOLD, LIMITED, is_held, working

ESCAPE = f"{HOLD}; (setsid sh -c 'setsid sleep 60 & sleep 60' &); touch begun; sleep 60"
"""Starts processes that leave the command's group, its session and its parent."""


@pytest.mark.parametrize("mode", LIMITED)
async def test_double_fork_setsid_dies_on_cancel(lab: Lab, tmp_path: Path, mode: Mode) -> None:
    """A cancel ends the command of a run soon, with processes that have left its session and its parent."""
    await working(mode)
    lab.server.call_tools(("run_shell", {"command": ESCAPE}))
    lab = replace(lab, settings=lab.settings.model_copy(update={"holdfast_sandbox": mode}))
    workspace = tmp_path / "workspace"

    async def has_begun() -> bool:
        return (workspace / "begun").exists()

    async with lab.worker(coder, max_cached_workflows=100):
        run = await lab.holdfast.start("coder", "Run it.", workspace=workspace)
        await eventually(has_begun)
        assert is_held(workspace)
        asked = time.monotonic()
        await run.cancel()
        assert (await run.result(60)).status == RunStatus.CANCELLED
        assert not is_held(workspace)
        assert time.monotonic() - asked < SOON
