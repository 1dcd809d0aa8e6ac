"""The state folder: any path works or is refused, and nobody else can read it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.cli import CommandLine

ODD = "-p#1?x=%41&y 'q\" é\n$HOME"
QUESTION = "What does the harbour master promise?"


def command_line(folder: Path, home: str) -> CommandLine:
    """The command line in a folder, with a state folder in it."""
    return CommandLine(settings={"HOLDFAST_HOME": home}, folder=folder)


def names(folder: Path) -> list[str]:
    """What a folder contains."""
    return [path.name for path in folder.iterdir()]


def test_any_path_of_the_state_folder_works(tmp_path: Path) -> None:
    """Whatever characters the path has, all data is in the folder, which is private, and a second start finds it."""
    cli = command_line(tmp_path, ODD)
    try:
        assert cli("up").code == 0
        asked = cli("run", "researcher", QUESTION, "--id", "odd", "--mode", "blocking")
        assert asked.code == 0, asked.err
        assert cli("down").code == 0
        assert cli("up").code == 0
        assert "odd" in cli("list").out
        assert cli("status").code == 0
    finally:
        cli("down")
    assert names(tmp_path) == [ODD]
    home = tmp_path / ODD
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {"temporal.db", "surrealdb", "logs", "workspaces"} <= {path.name for path in home.iterdir()}
    locks = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.glob("*.lock")}
    assert set(locks) >= {"stack.lock", "worker.lock", "temporal.lock", "surrealdb.lock"}
    assert set(locks.values()) == {0o600}


@pytest.mark.parametrize("words", [["up"], ["status"], ["remember", "a text"], ["list"]], ids=lambda words: words[0])
def test_a_path_that_is_not_text_is_refused(tmp_path: Path, words: list[str]) -> None:
    """A path that is not UTF-8 is refused before anything is written."""
    done = command_line(tmp_path, "p\udcff")(*words)
    assert done.code == 2
    assert "HOLDFAST_HOME" in done.err
    assert "UTF-8" in done.err
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "words", [["remember", "a text"], ["publish", "a-topic", "{}"]], ids=lambda words: str(words[0])
)
def test_the_folder_is_private_whichever_command_makes_it(tmp_path: Path, words: list[str]) -> None:
    """A command that needs no stack makes the folder private, too."""
    done = command_line(tmp_path, "home")(*words)
    assert done.code == 0, done.err
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home" / "surrealdb.lock").stat().st_mode) == 0o600


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    """The stack does not start in a folder where others could replace its files."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    done = command_line(tmp_path, "home")("up")
    assert done.code == 2
    assert "any user may write to it" in done.err
    assert names(home) == []


def test_settings_that_are_not_text_are_refused(tmp_path: Path) -> None:
    """A `.env` in another encoding is named, in one line."""
    (tmp_path / ".env").write_bytes("OPENAI_MODEL=café\n".encode("latin-1"))
    done = command_line(tmp_path, "home")("up")
    assert done.code == 2
    assert f"{tmp_path / '.env'} is not UTF-8 text" in done.err
    assert "Traceback" not in done.err
