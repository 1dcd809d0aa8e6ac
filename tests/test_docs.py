"""README and docs: their commands and code blocks work when a reader runs them in order."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.settings import Settings
from tests.support import cli_reference, forked_commands, tiers

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAPERS = [ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
PAPERS += sorted((ROOT / "examples").rglob("README.md"))
BLOCK = re.compile(r"^(?:<!-- ([^\n]+) -->\n)?```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BACKGROUND = re.compile(r" &$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)")
NOT_RUN = {
    "": "a drawing",
    "text": "what a program prints, or what needs a server of the reader's",
    "surql": "run by tests/contract/test_howto_queries.py",
}
"""Languages of blocks that are not run, with the reason; for other blocks, a comment in the page states it."""
NOT_RUN_BECAUSE = "not run: "
SAVED = "saved: the commands below run it"
LATER = "shown within a minute, when the last command is repeated"
"""Comments before a block, for its test alone; after the first one stands the reason."""
PATIENCE = tiers.patience(60.0)  # seconds for what is shown later
REPEAT_INTERVAL = 0.5  # seconds between looks meanwhile
OTHER_WORKER = re.compile(r"^\$ \w+=\S+ .* up$", re.MULTILINE)
"""The command that replaces the worker by one with other settings."""
NOT_HERE = {
    "python3 -m tests": "would run these tests again",
    "holdfast demo crash": "README runs it in a checkout, and tests/acceptance/test_wheel.py after an installation",
}
"""Commands that are not run, with the reason."""
INSTALLED = """\
import sys

from holdfast.cli import main

sys.argv[0] = "holdfast"
sys.exit(main())
"""
"""The script of the command `holdfast`, as an installed package has it."""
OWN_STACK = {
    "README.md": "it starts the stack, and shows all that is stored",
    "docs/install.md": "it starts and stops the stack",
    "docs/tutorial/first-agent.md": "it starts and stops the stack",
    "docs/coming-from/earlier-designs.md": "it lists all agents of the registry",
    "docs/howto/bulk.md": "its commands change all runs",
    "docs/howto/own-project.md": "it makes a project of its own",
    "docs/howto/registry.md": "it replaces the registry",
    "docs/howto/test-your-agents.md": "it makes a project of its own",
}
"""Pages that begin without any state, with the reason; other pages follow each other on one stack."""
LINKED = ("holdfast", "workflows", "activities", "requirements", "worker.py", "starter.py", "bootstrap.py", "README.md")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    comment: str | None
    """What the page says before the block, for its test alone."""
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*match.groups()) for match in BLOCK.finditer(page.read_text())]


@dataclass
class SharedDesk:
    """A desk at which one page is tried after another, while its stack runs."""

    folder: Path
    has_other_worker: bool = False
    """Whether the page before has replaced the worker by one with settings of its own."""

    def clear(self) -> None:
        """Deletes the files that a page has left."""
        for path in self.folder.iterdir():
            if path.name in (*LINKED, "docs", ".holdfast"):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def use_default_worker(self) -> None:
        """Replaces a worker that has settings of a page before."""
        if self.has_other_worker:
            run("python3 starter.py up", self.folder)
            self.has_other_worker = False


@contextmanager
def open_desk(parent: Path) -> Iterator[Path]:
    """A folder like a checkout, where a reader types what the pages say; the stack that comes up is taken down."""
    folder = parent / "checkout"
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


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDesk]:
    """The desk of the pages that follow each other."""
    with open_desk(tmp_path_factory.mktemp("pages")) as folder:
        yield SharedDesk(folder)


@pytest.fixture
def desk(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where a reader types what a page says: at a desk of its own, or after other pages; see `OWN_STACK`."""
    if str(page.relative_to(ROOT)) in OWN_STACK or tiers.is_slow():
        with open_desk(tmp_path) as folder:
            yield folder
        return
    shared: SharedDesk = request.getfixturevalue("shared_desk")
    replaces_worker = OTHER_WORKER.search(page.read_text()) is not None
    if not replaces_worker:
        shared.use_default_worker()
    yield shared.folder
    shared.has_other_worker |= replaces_worker
    shared.clear()


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
    """Runs commands as the shell would, in a folder of a desk, and returns what they print; fails if they do."""
    path = [str(programs(desk)), str(Path(sys.executable).parent)]
    if BACKGROUND.search(command):
        path.reverse()  # what a page kills must be the program itself
    environment = os.environ | {
        "HOLDFAST_NO_BOOTSTRAP": "1",
        "HOLDFAST_HOME": str(desk / ".holdfast"),
        "PATH": os.pathsep.join([*path, os.environ["PATH"]]),
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
    return f"{done.stderr}{done.stdout}"


class Reader:
    """Someone who does what a page shows, block by block.

    Args:
        desk: the folder where they begin.
    """

    def __init__(self, desk: Path) -> None:
        self._desk = desk
        self._folder = desk
        self._last = ""
        """The command that they typed last."""
        self._printed = ""
        """What the block before has printed."""

    def follow(self, block: Block) -> None:
        """Does what a block shows, or compares what the one before has printed with it."""
        if block.language == "console":
            self._type(block.text)
        elif block.language == "python":
            named = re.match(r"# (\w+\.py)\n", block.text)
            name = named.group(1) if named else "block.py"
            (self._folder / name).write_text(block.text)
            if block.comment != SAVED:
                self._printed = self._run(f"python3 {shlex.quote(name)}")
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            file, _, _ = block.text.removeprefix("# ").partition("\n")
            (self._folder / file).write_text(block.text)
        elif block.language == "output":
            self._compare(block)
        else:
            assert block.language in NOT_RUN, f"no test runs a block of {block.language!r}"

    def _type(self, text: str) -> None:
        """Types the commands of a block: one by one, or into one shell if some of them run in the background."""
        for line in text.splitlines():
            assert line.startswith("$ "), f"a console block holds commands alone: {line!r}"
        commands = [line.removeprefix("$ ") for line in text.splitlines()]
        if BACKGROUND.search(text):
            commands = ["\n".join(["set -e", *commands])]
        self._printed = ""
        for command in commands:
            if command.startswith("cd "):
                self._folder /= command.removeprefix("cd ")
            elif command not in NOT_HERE:
                self._printed += self._run(command)

    def _run(self, command: str) -> str:
        self._last = command
        return run(command, self._desk, self._folder)

    def _compare(self, block: Block) -> None:
        """Looks for the lines of a block, in their order, in what was printed; `…` stands for anything."""
        deadline = time.monotonic() + PATIENCE
        while (missing := first_missing(block.text, self._printed)) is not None:
            may_come = block.comment == LATER and time.monotonic() < deadline
            assert may_come, f"{missing!r} is not in\n{self._printed}"
            time.sleep(REPEAT_INTERVAL)
            self._printed = self._run(self._last)


def first_missing(shown: str, printed: str) -> str | None:
    """Returns the first line of a block that was not printed after the line before it; `None` if all were."""
    lines = iter(printed.splitlines())
    for line in filter(None, map(str.strip, shown.splitlines())):
        wanted = re.compile(".*".join(map(re.escape, line.split("…"))))
        if not any(wanted.fullmatch(each.strip()) for each in lines):
            return line
    return None


def test_what_a_page_says_is_printed_is_compared() -> None:
    """Lines may be left out between those that are shown, and their order counts."""
    printed = "one\n  two 2 s\nthree\n"
    assert first_missing("one\ntwo … s\n\nthree", printed) is None
    assert first_missing("three\none", printed) == "one"
    assert first_missing("tw", printed) == "tw"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.timeout(600)
def test_what_a_page_shows_works(page: Path, desk: Path) -> None:
    """Each command and block of a page does what it shows; `cd` holds until the end of the page.

    Starting a stack takes longer than most pages. Each page has its own in the slow tier, and if it is tried alone.
    """
    reader = Reader(desk)
    for block in blocks(page):
        if block.comment and block.comment.startswith(NOT_RUN_BECAUSE):
            continue
        assert block.comment in (None, SAVED, LATER), f"no test knows the comment {block.comment!r}"
        reader.follow(block)


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
