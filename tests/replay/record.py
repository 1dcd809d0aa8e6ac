"""Recording of the replay histories: `python -m tests.replay.record [SCENARIO …]`.

Add a scenario for each new behavior. Record an existing one again only if its behavior was meant to change and no
workflow with the old behavior can still be open: released code must replay its own histories (`workflow.patched`).
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tempfile
from pathlib import Path

from holdfast.settings import Settings
from holdfast.stack import down, up
from tests.replay.scenarios import SCENARIOS
from tests.support.lab import Lab

HISTORIES = Path(__file__).parent / "histories"


async def record(names: list[str]) -> None:
    """Runs the scenarios on a separate server and saves their histories."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(holdfast_home=Path(folder), openai_base_url="http://127.0.0.1:9/v1")
        address = (await up(settings, print, worker=False)).address
        try:
            for name in names:
                async with Lab.open(address, Path(folder) / name) as lab:
                    handle = await SCENARIOS[name](lab)
                    history = await lab.client.get_workflow_handle(handle.id).fetch_history()
                # mtime 0: the same history produces the same file
                (HISTORIES / f"{name}.json.gz").write_bytes(gzip.compress(history.to_json().encode(), mtime=0))
                print(name, len(history.events), "events")
        finally:
            await down(settings, print)


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:] or list(SCENARIOS)))
