"""Sets up what the tests need and runs them: `python3 -m tests`, with pytest's own arguments after it."""

import os
import subprocess
import sys
from pathlib import Path

import bootstrap

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Runs the suite in as many processes as there are cores, at least two: much of it waits."""
    bootstrap.ensure("requirements/dev.lock")
    arguments = sys.argv[1:] or ["-n", str(max(2, os.cpu_count() or 2)), "--dist", "worksteal"]
    return subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
