"""Lets the Temporal SDK download its development server: `python download.py FOLDER`.

A program of its own, so that a download that hangs in native code can be ended.
"""

from __future__ import annotations

import asyncio
import sys

from temporalio.testing import WorkflowEnvironment


async def download(folder: str) -> None:
    """The SDK downloads what it is about to start; there is no other way to ask it."""
    async with await WorkflowEnvironment.start_local(download_dest_dir=folder):
        pass


if __name__ == "__main__":
    asyncio.run(download(sys.argv[1]))
