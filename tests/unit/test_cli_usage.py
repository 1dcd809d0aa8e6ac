"""Help and usage errors of commands."""

from __future__ import annotations

import enum
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from holdfast.cli.app import application
from holdfast.cli.option_groups import flattened
from holdfast.cli.verbs import GROUPS, VERBS, Section, Verb, summaries

ROOT = Path(__file__).parents[2]
WORDS = [verb.words for verb in VERBS]
LONGEST_NAME = "python3 starter.py"


def call(*words: str, stdin: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(application(), list(words), prog_name="holdfast", input=stdin)
    return result.exit_code, result.output


@pytest.mark.parametrize("verb", WORDS)
def test_help_teaches_by_example(verb: str) -> None:
    """The help of each command has an example and fits 80 columns."""
    code, shown = call(*verb.split(), "--help")
    assert code == 0
    examples = shown.partition("Examples:\n")[2].partition("\n\n")[0]
    assert f"holdfast {verb}" in examples
    assert max(cell_len(line.replace("holdfast", LONGEST_NAME, 1)) for line in examples.splitlines()) <= 80
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_every_verb_is_explained() -> None:
    """The overview explains every command in one line, under the heading of its section."""
    code, shown = call("--help")
    assert code == 0
    lines = shown[shown.index(f"\n{Section.RUN}:\n") :].splitlines()
    assert [line for line in lines if line.endswith(":") and not line.startswith(" ")] == [
        f"{each}:" for each in Section
    ]
    explained = dict(line.split(maxsplit=1) for line in lines if line.startswith("  "))
    assert explained == summaries()


def test_verbs_are_in_the_order_of_their_sections() -> None:
    """Commands of one section stand together, and those of one group are in the same section."""
    assert [verb.section for verb in VERBS] == sorted((verb.section for verb in VERBS), key=list(Section).index)
    assert all(len({verb.section for verb in VERBS if verb.group == group}) == 1 for group in GROUPS)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.words)
def test_overview_and_help_agree(verb: Verb) -> None:
    """The line about a command in the overview is the first line of its own help."""
    function, _ = verb.load()
    assert inspect.cleandoc(function.__doc__ or "").splitlines()[0] == verb.summary


@pytest.mark.parametrize("group", GROUPS)
def test_group_lists_its_commands(group: str) -> None:
    """The help of a group names each of its commands."""
    code, shown = call(group, "--help")
    assert code == 0
    assert all(f"  {verb.name} " in shown for verb in VERBS if verb.group == group)


HEAVY = {"openai", "pydantic_settings", "surrealdb", "temporalio"}


@pytest.mark.parametrize(("words", "unwanted"), [("--help", HEAVY | {"pydantic"}), ("list --help", HEAVY)])
def test_help_loads_no_sdk(words: str, unwanted: set[str]) -> None:
    """Help appears at once: it loads no SDK, and the overview not even pydantic."""
    script = f"import sys; sys.argv[1:] = {words.split()}; from holdfast.cli import main; main(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage: " in done.stdout
    assert not unwanted & set(done.stdout.splitlines()[-1].split())


def test_files_of_the_current_folder_take_no_one_s_place(tmp_path: Path) -> None:
    """`python -m holdfast` works in a folder with files named like modules of Python, as the installed command does."""
    for name in ("json", "logging", "secrets"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not the one that is meant')")
    environment = {**os.environ, "HOLDFAST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "status", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    assert json.loads(done.stdout)["healthy"] is False


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("list --limit 0", "--limit must be at least 1"),
        ("run researcher x --max-turns 0", "--max-turns must be at least 1"),
        ("result x --timeout 0", "--timeout must be a positive number of seconds"),
        ("search x --top-k 101", "--top-k must be between 1 and 100"),
        ("list --limit x", "--limit must be a whole number, not 'x'"),
        ("run researcher x --timeout soon", "--timeout must be a number, not 'soon'"),
        ("run researcher x --mode nope", "--mode must be one of blocking, streaming, background, not 'nope'"),
    ],
)
def test_refused_numbers_are_explained(words: str, says: str) -> None:
    """A number out of range is refused with the option and its limits."""
    code, shown = call(*words.split())
    assert code == 2
    assert f"Error: {says}\n" in shown


def typed_options() -> Iterator[tuple[str, str]]:
    """Each verb with each of its options that take a number or a choice."""
    for verb in VERBS:
        for name, hint in get_type_hints(flattened(verb.load()[0])).items():
            kinds = [kind for kind in (get_args(hint) or (hint,)) if isinstance(kind, type) and kind is not bool]
            if name != "return" and any(issubclass(kind, int | float | enum.Enum) for kind in kinds):
                yield verb.words, name


@pytest.mark.parametrize(("verb", "option"), list(typed_options()), ids=" ".join)
def test_nonsense_is_refused_in_our_own_words(verb: str, option: str) -> None:
    """A value that is no number or no choice is refused with the option's name and what is accepted."""
    name = {"language": "--format"}.get(option, f"--{option.replace('_', '-')}")
    code, shown = call(*verb.split(), name, "nonsense")
    assert code == 2
    assert f"Error: {name} must be " in shown
    assert "not 'nonsense'" in shown


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
        ["run", "researcher", "x", "--max-cost-usd", "0"],
        ["run", "researcher", "x", "--max-tokens", "0"],
        ["run", "researcher", "x", "--tag", "team"],
        ["budget", "--tokens", "5"],
        ["budget", "x", "--cost-usd", "nan"],
        ["list", "--status", "happy"],
        ["list", "--limit", "0"],
        ["show"],
        ["show", ""],
        ["result", "x", "--timeout", "-1"],
        ["terminate", "x"],
        ["terminate", "--where", "AgentTurn > 1"],
        ["terminate", "--resume", "--reason", "because"],
        ["cancel"],
        ["cancel", "x", "--resume"],
        ["cancel", "x", "--where", "AgentTurn > 1"],
        ["cancel", "x", "--yes"],
        ["cancel", "--where", "AgentTurn > 1", "--resume"],
        ["cancel", "--resume", "--dry-run"],
        ["replay"],
        ["replay", "x", "--open"],
        ["demo", "nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_refused_at_once(words: list[str]) -> None:
    """Wrong use ends with 2 and a message before anything is started."""
    code, shown = call(*words)
    assert code == 2, shown
    assert "rror" in shown
    assert "Traceback" not in shown


def test_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A workspace that is a file is refused at once."""
    file = tmp_path / "file.txt"
    file.touch()
    code, shown = call("run", "researcher", "x", "--workspace", str(file))
    assert code == 2
    assert "is not a folder" in shown


def test_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid setting is reported in one line with its variable, value and what is accepted."""
    monkeypatch.setenv("MAX_CONCURRENT_AGENTS", "many")
    code, shown = call("list")
    assert code == 2
    assert "MAX_CONCURRENT_AGENTS='many'" in shown


def test_agents_are_listed_without_a_server() -> None:
    """Agents defined in code are listed without a server."""
    code, shown = call("agents")
    assert code == 0
    assert "researcher" in shown


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:7233"])
def test_unreachable_server_is_reported(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """An unreachable server ends with 3, its address and what to do, without the names of the SDK's types."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    code, shown = call("list")
    assert code == 3
    assert address in shown
    assert "tonic" not in shown
    assert "unset TEMPORAL_ADDRESS" in shown
