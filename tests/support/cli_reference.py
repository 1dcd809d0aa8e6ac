"""The page docs/reference/cli.md, written from the command line's own help: `python -m tests.support.cli_reference`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from holdfast.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"
HEADER = """# The command line

Every command and its options. Type `python starter.py …` in a checkout, and `holdfast …` if the package is installed.

| exit code | meaning |
|---|---|
| 0 | success |
| 1 | the run failed or was terminated |
| 2 | wrong use: an argument, a setting, an unknown run or agent |
| 3 | Temporal, SurrealDB or the worker is unavailable |
| 4 | the mirror is damaged: `doctor rebuild` repairs it |
| 124 | timed out |
| 130 | cancelled, or Ctrl-C, which does not stop the run |
"""


def page() -> str:
    """Returns the text of the page."""
    sections = [f"## {verb.words}\n\n```text\n{help_of(verb.words)}```\n" for verb in VERBS]
    return "\n".join([HEADER, *sections])


def help_of(verb: str) -> str:
    """Returns what `--help` prints at 80 columns."""
    path = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where there is a `python`, not only python3
    )
    environment = os.environ | {"HOLDFAST_NO_BOOTSTRAP": "1", "COLUMNS": "80", "TERM": "dumb", "PATH": path}
    command = [sys.executable, "starter.py", *verb.split(), "--help"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    PAGE.write_text(page())
