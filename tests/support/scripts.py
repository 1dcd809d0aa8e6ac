"""Scripts that run their own agents, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.support import forked_commands
from tests.support.cli import ROOT, TIMEOUT, CommandLine, Done

PATH = {"PYTHONPATH": str(ROOT)}  # an installed package needs none


@dataclass
class Scripts:
    """Scripts in a folder of their own, which use a stack."""

    cli: CommandLine
    folder: Path

    def write(self, code: str, name: str = "shop.py", **words: str) -> Path:
        """Writes a script, with words replaced."""
        code = textwrap.dedent(code)
        for word, text in words.items():
            code = code.replace(word, text)
        file = self.folder / name
        file.write_text(code)
        return file

    def start(self, file: Path, *options: str) -> subprocess.Popen[bytes]:
        """Starts a script."""
        pipe = subprocess.PIPE
        command = [sys.executable, *options, str(file)]
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=self.folder, env=self.cli.environment(PATH))

    def run(self, file: Path, *options: str) -> Done:
        """Runs a script to its end; without options of the interpreter, in a forked process."""
        if not options and forked_commands.may_fork():
            environment = self.cli.environment(PATH)
            return Done(
                *forked_commands.run([str(file)], b"", folder=self.folder, environment=environment, timeout=TIMEOUT)
            )
        with self.start(file, *options) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT)
            finally:
                process.kill()
        return Done(process.returncode, out, err)

    def orders(self) -> list[str]:
        """Returns what the tool has ordered."""
        file = self.folder / "orders"
        return file.read_text().split() if file.exists() else []
