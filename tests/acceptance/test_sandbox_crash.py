"""Commands of a worker that is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.sandbox import Mode
from tests.support.lab import eventually
from tests.support.processes import Site
from tests.support.sandboxes import HOLD, LIMITED, is_held, working


@pytest.mark.parametrize("mode", LIMITED)
async def test_worker_kill9_leaves_no_child(temporal_address: str, tmp_path: Path, mode: Mode) -> None:
    """After `kill -9` of the worker, no process of a command lives, in whatever session it is."""
    await working(mode)
    async with Site.open(temporal_address, tmp_path) as site:
        site.server.call_tools(("run_shell", {"command": f"{HOLD}; (setsid sleep 60 &); touch begun; sleep 60"}))
        site.environment |= {"HOLDFAST_SANDBOX": mode, "WORKSPACE_ROOTS": str(tmp_path)}
        worker = await site.worker()
        run = await site.holdfast.start("coder", "Run it.", workspace=site.workspace)

        async def has_begun() -> bool:
            return (site.workspace / "begun").exists()

        async def has_ended() -> bool:
            return not is_held(site.workspace)

        await eventually(has_begun)
        worker.kill()
        await eventually(has_ended, 5)
        await run.terminate("the test is over")
