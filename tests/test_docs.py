"""README and docs: their commands and code blocks work when a reader runs them in order."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.settings import Settings
from tests.support import cli_reference, forked_commands

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAPERS = [ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
PAPERS += sorted((ROOT / "examples").rglob("README.md"))
BLOCK = re.compile(r"^(?:<!-- not run: ([^\n]+) -->\n)?```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)")
NOT_RUN = {
    "": "a drawing",
    "text": "what a program prints, or what needs a server of the reader's",
    "surql": "run by tests/contract/test_howto_queries.py",
}
"""Languages of blocks that are not run, with the reason; for other blocks, a comment in the page states it."""
NOT_HERE = ("python3 -m tests",)  # would run these tests again
INSTALLED = """\
import sys

from holdfast.cli import main

sys.argv[0] = "holdfast"
sys.exit(main())
"""
"""The script of the command `holdfast`, as an installed package has it."""
LINKED = ("holdfast", "workflows", "activities", "requirements", "worker.py", "starter.py", "bootstrap.py", "README.md")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    not_run: str | None
    """Why the block before which a page says so cannot be run here; `None`: it is run."""
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*match.groups()) for match in BLOCK.finditer(page.read_text())]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Path]:
    """A folder like a checkout, where a reader types what the pages say; the stack that comes up is taken down."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    for page in (ROOT / "docs").rglob("*.md"):
        copy = folder / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(page.read_text())
    programs(folder).mkdir()
    write_programs(programs(folder))
    yield folder
    run("python3 starter.py down", folder)


def write_programs(folder: Path) -> None:
    """Writes the programs that are on PATH: `holdfast`, and a `python3` that starts faster if this session forks."""
    script, program = folder / "installed.py", folder / "holdfast"
    script.write_text(INSTALLED)
    program.write_text(f'#!/bin/sh\nexec python3 {shlex.quote(str(script))} "$@"\n')
    program.chmod(0o755)
    if forked_commands.may_fork():
        forked_commands.write_python(folder / "python3")


def programs(desk: Path) -> Path:
    """The folder of programs that are on PATH at a desk."""
    return desk.parent / "bin"


def run(command: str, desk: Path, folder: Path | None = None) -> str:
    """Runs a command as the shell would, in a folder of a desk; fails with what it printed."""
    environment = os.environ | {
        "HOLDFAST_NO_BOOTSTRAP": "1",
        "HOLDFAST_HOME": str(desk / ".holdfast"),
        "PATH": os.pathsep.join([str(programs(desk)), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(desk),
        "PYTEST_PLUGINS": "holdfast.testing.pytest_plugin",  # an installed package has an entry point for it
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder or desk,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.timeout(600)
def test_what_a_page_shows_works(page: Path, desk: Path) -> None:
    """Each command and block of a page does what it shows; `cd` holds until the end of the page."""
    folder = desk
    for block in blocks(page):
        if block.not_run:
            continue
        if block.language == "console":
            for line in block.text.splitlines():
                assert line.startswith("$ "), f"a console block holds commands alone: {line!r}"
                command = line.removeprefix("$ ")
                if command.startswith("cd "):
                    folder /= command.removeprefix("cd ")
                elif command not in NOT_HERE:
                    run(command, desk, folder)
        elif block.language == "python":
            named = re.match(r"# (\w+\.py)\n", block.text)
            name = named.group(1) if named else "block.py"
            (folder / name).write_text(block.text)
            run(f"python3 {shlex.quote(name)}", desk, folder)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            file, _, _ = block.text.removeprefix("# ").partition("\n")
            (folder / file).write_text(block.text)
        else:
            assert block.language in NOT_RUN, f"no test runs a block of {block.language!r}"


@pytest.mark.parametrize("page", [*PAGES, *PAPERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the project leads to one."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_page_is_listed() -> None:
    """README links to each page of the documentation."""
    listed = {(ROOT / target).resolve() for target in LINK.findall((ROOT / "README.md").read_text())}
    assert {page for page in PAGES[1:] if page not in listed} == set()


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda picture: picture.name)
def test_pictures_fetch_nothing(picture: Path) -> None:
    """A picture can be shown without a network: it names no address but that of its XML namespace."""
    assert set(re.findall(r"https?://[^\s\"'<)]+", picture.read_text())) <= {"http://www.w3.org/2000/svg"}


def test_command_line_reference_is_what_the_program_says() -> None:
    """The page is what `python -m tests.support.cli_reference` writes."""
    assert cli_reference.page() == cli_reference.PAGE.read_text()


def test_settings_reference_names_each_setting_and_its_default() -> None:
    """The page lists every setting, with its default."""
    text = (ROOT / "docs" / "reference" / "settings.md").read_text()
    listed = set(re.findall(r"`([A-Z][A-Z_]+)`", text)) - {"DEBUG", "INFO", "WARNING", "ERROR"}
    assert listed == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, str | int | float) and field.default != 3600:
            assert re.search(rf"`{name.upper()}`.*`{field.default}`", text), name
