"""Setup and run of the tests: `python3 -m tests`, followed by pytest's own arguments.

`python3 -m tests --slow` runs everything in full size, the slow tier too.
"""

import asyncio
import compileall
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bootstrap

ROOT = Path(__file__).parent.parent
MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 8 << 30  # bytes that must be free; a run of the suite uses 2 to 3 GiB


def main() -> int:
    """Runs the suite in one process more than there are cores, as much of it waits."""
    bootstrap.ensure("requirements/dev.lock")
    arguments = sys.argv[1:]
    if arguments in ([], ["--slow"]):
        get_temporal_server()
        compile_sources()
        arguments += ["-n", str(1 + (os.cpu_count() or 1)), "--dist", "worksteal"]
    folder = tempfile.mkdtemp(prefix="holdfast-", dir=MEMORY if has_room(MEMORY) else None)
    command = [sys.executable, "-m", "pytest", *arguments]
    tests = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TMPDIR": folder})
    try:
        return tests.wait()
    except KeyboardInterrupt:
        return tests.wait()  # interrupted as well, it ends what it has started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def has_room(memory: Path) -> bool:
    """Whether the tests can keep their files in memory: the servers wait for the disk at each write, which is most of
    the suite's time on a slow one. A killed process loses nothing of such files either.
    """
    import psutil

    if not os.access(memory, os.W_OK):
        return False
    return min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) > MEMORY_NEEDED


def get_temporal_server() -> None:
    """Where it must be built first, that takes minutes: in the tests it would go unseen, and count as their time."""
    from holdfast.stack.binary import find_server

    server = asyncio.run(find_server(lambda line: print(line, file=sys.stderr, flush=True)))
    print(f"Temporal server {server.server}: {server.path}", file=sys.stderr, flush=True)


def compile_sources() -> None:
    """Many of the processes that tests start load Holdfast. Where Python is told to write no bytecode, each would
    compile all of it, which is a third of the time of its start.
    """
    for folder in ("holdfast", "workflows", "activities", "tests/support"):
        compileall.compile_dir(ROOT / folder, quiet=2, workers=0)


if __name__ == "__main__":
    sys.exit(main())
