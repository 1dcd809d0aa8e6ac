"""Setup and run of the tests: `python3 -m tests`, followed by pytest's own arguments.

`python3 -m tests --slow` runs everything in full size, the slow tier too.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import bootstrap

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Runs the suite in as many processes as there are cores, at least two: much of it waits."""
    bootstrap.ensure("requirements/dev.lock")
    arguments = sys.argv[1:]
    if arguments in ([], ["--slow"]):
        get_temporal_server()
        arguments += ["-n", str(max(2, os.cpu_count() or 2)), "--dist", "worksteal"]
    return subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT)


def get_temporal_server() -> None:
    """Where it must be built first, that takes minutes: in the tests it would go unseen, and count as their time."""
    from holdfast.stack.binary import find_server

    server = asyncio.run(find_server(lambda line: print(line, file=sys.stderr, flush=True)))
    print(f"Temporal server {server.server}: {server.path}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
