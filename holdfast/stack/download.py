"""Download of the development server by the Temporal SDK: `python download.py FOLDER`.

It is a separate program so that a download that hangs in native code can be killed.
"""

from __future__ import annotations

import asyncio
import sys

from temporalio.testing import WorkflowEnvironment


async def download(folder: str) -> None:
    """Starts and stops a server, as the SDK only downloads a server that it starts."""
    async with await WorkflowEnvironment.start_local(download_dest_dir=folder):
        pass


if __name__ == "__main__":
    asyncio.run(download(sys.argv[1]))
