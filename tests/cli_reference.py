"""Writes docs/reference/cli.md from the command line's own help: `python -m tests.cli_reference`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from holdfast.cli.verbs import VERBS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "cli.md"
HEADER = """# The command line

`python starter.py …` in a checkout; `holdfast …` where the package is installed. Written by the program itself.

| exit code | meaning |
|---|---|
| 0 | well |
| 1 | the run failed |
| 2 | wrong use: an argument, a setting, an unknown run or agent |
| 3 | Temporal, SurrealDB or the worker is away |
| 4 | the mirror is damaged: `doctor rebuild` mends it |
| 124 | timed out |
| 130 | cancelled, or Ctrl-C: the run itself goes on |
"""


def page() -> str:
    """The page as it should be."""
    sections = [f"## {verb.words}\n\n```text\n{help_of(verb.words)}```\n" for verb in VERBS]
    return "\n".join([HEADER, *sections])


def help_of(verb: str) -> str:
    """What `--help` prints at 80 columns."""
    path = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where there is a `python`, not only python3
    )
    environment = os.environ | {"HOLDFAST_NO_BOOTSTRAP": "1", "COLUMNS": "80", "TERM": "dumb", "PATH": path}
    command = [sys.executable, "starter.py", *verb.split(), "--help"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    PAGE.write_text(page())
