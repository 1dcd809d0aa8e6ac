"""Wrong use and help: what a person meets first."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from holdfast.cli.app import application
from holdfast.cli.verbs import VERBS

WORDS = [verb.words for verb in VERBS]
LONGEST_NAME = "python3 starter.py"


def call(*words: str, stdin: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(application(), list(words), prog_name="holdfast", input=stdin)
    return result.exit_code, result.output


@pytest.mark.parametrize("verb", WORDS)
def test_help_teaches_by_example(verb: str) -> None:
    """Each verb's help shows it at work, within 80 columns however the program is called."""
    code, shown = call(*verb.split(), "--help")
    assert code == 0
    examples = shown.partition("Examples:\n")[2].partition("\n\n")[0]
    assert f"holdfast {verb}" in examples
    assert max(cell_len(line.replace("holdfast", LONGEST_NAME, 1)) for line in examples.splitlines()) <= 80
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_every_verb_is_explained() -> None:
    """A line in the overview that ends in dots explains nothing."""
    code, shown = call("--help")
    assert code == 0
    commands = shown.partition("Commands:\n")[2].splitlines()
    assert sorted(line.split()[0] for line in commands) == sorted({verb.split()[0] for verb in WORDS})
    assert not [line for line in commands if line.endswith("...")]


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run"],
        ["run", "researcher"],
        ["run", "researcher", "x", "--mode", "sideways"],
        ["run", "researcher", "x", "--max-turns", "0"],
        ["run", "researcher", "x", "--timeout", "0"],
        ["run", "researcher", "x", "--timeout", "nan"],
        ["run", "researcher", "x", "--workspace", "/does/not/exist"],
        ["list", "--status", "happy"],
        ["list", "--limit", "0"],
        ["show"],
        ["show", ""],
        ["result", "x", "--timeout", "-1"],
        ["terminate", "x"],
        ["demo", "nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_refused_at_once(words: list[str]) -> None:
    """Wrong use ends with 2 and a message, before anything is started for it."""
    code, shown = call(*words)
    assert code == 2, shown
    assert "rror" in shown
    assert "Traceback" not in shown


def test_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The run would fail at its first tool call, minutes later."""
    file = tmp_path / "file.txt"
    file.touch()
    code, shown = call("run", "researcher", "x", "--workspace", str(file))
    assert code == 2
    assert "is not a folder" in shown


def test_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the variable, the value and what is accepted, instead of a traceback."""
    monkeypatch.setenv("MAX_CONCURRENT_AGENTS", "many")
    code, shown = call("list")
    assert code == 2
    assert "MAX_CONCURRENT_AGENTS='many'" in shown


def test_agents_are_listed_without_a_server() -> None:
    """The agents are known from the code alone; nothing needs to run for that."""
    code, shown = call("agents")
    assert code == 0
    assert "researcher" in shown


def test_demo_refuses_a_server_that_is_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It kills a worker: never one of somebody else's server."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    code, shown = call("demo", "crash")
    assert code == 2
    assert "TEMPORAL_ADDRESS" in shown


def test_unreachable_server_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3, the address, and what to do."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    code, shown = call("list")
    assert code == 3
    assert "127.0.0.1:1" in shown
    assert "unset TEMPORAL_ADDRESS" in shown
