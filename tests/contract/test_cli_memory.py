"""The commands `remember` and `search` with an embedded database, and the methods of agents next to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from holdfast import Agent
from holdfast.cli.app import application
from holdfast.composition.persistence import close_shared_persistence

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs commands that keep their things in a folder of this test."""
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SURREALDB_URL", f"surrealkv://{tmp_path}/kept")
    monkeypatch.chdir(tmp_path)

    def call(*words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(application(), list(words), prog_name="holdfast", input=stdin)

    return call


def found(result: Result) -> list[dict[str, Any]]:
    """The results in a JSON answer."""
    assert result.exit_code == 0, result.output
    results: list[dict[str, Any]] = json.loads(result.stdout)["results"]
    return results


def test_what_is_remembered_is_found_by_a_later_command(call: Call) -> None:
    """A memory and its metadata are found by a later command, which says how it searched."""
    added = call("remember", "The customer Meyer pays late.", "--meta", "kind=fact", "--meta", "n=3")
    assert added.exit_code == 0, added.output
    assert "remembered in 'shared'" in added.stdout
    shown = call("search", "customers")
    assert "Meyer pays late" in shown.stdout
    assert "by its words" in shown.stdout
    assert "words alone" in shown.stderr
    [match] = found(call("search", "customers", "--json", "--meta", "n=3"))
    assert (match["metadata"], match["found_by"]) == ({"kind": "fact", "n": 3}, ["text"])
    assert found(call("search", "customers", "--json", "--meta", "n=4")) == []
    assert "begin with" in call("search", "customers", "--namespace", "empty").stderr


def test_an_agent_looks_into_its_own_memory_and_the_shared_one(call: Call) -> None:
    """`search --agent` searches what that agent does: its own memories and the shared ones."""
    call("remember", "a word for all")
    call("remember", "a word of mine", "--agent", "clerk")
    call("remember", "a word of another", "--agent", "other")
    texts = {match["text"] for match in found(call("search", "word", "--agent", "clerk", "--json"))}
    assert texts == {"a word for all", "a word of mine"}


def test_a_file_is_kept_in_passages(call: Call, tmp_path: Path) -> None:
    """A file is stored in passages that name their source, and adding it again changes nothing."""
    (tmp_path / "book.md").write_text("\n\n".join(f"Chapter {number}. " + "word " * 300 for number in range(4)))
    assert "4 passages" in call("remember", "-f", "book.md").stdout
    assert "4 passages" in call("remember", "-f", "book.md").stdout
    results = found(call("search", "chapter", "--top-k", "10", "--json"))
    assert [match["metadata"] for match in results] == [{"source": "book.md"}] * 4
    lines = call("search", "chapter").output.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert call("remember", "-", stdin="from a pipe").exit_code == 0
    assert len(found(call("search", "pipe", "--json"))) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["remember"], "give a text"),
        (["remember", "a", "-f", "b"], "one of them"),
        (["remember", " "], "not blank"),
        (["remember", "-f", "missing.md"], "missing.md"),
        (["remember", "a", "--meta", "b"], "KEY=VALUE"),
        (["remember", "a", "--agent", "b", "--namespace", "c"], "exclude"),
        (["remember", "x" * 70_000], "65,536"),
        (["search", " "], "blank"),
        (["search", "a", "--top-k", "0"], "top-k"),
    ],
)
def test_wrong_use_is_reported_in_a_line(call: Call, words: list[str], says: str) -> None:
    """Wrong use ends with an exit code and one line."""
    result = call(*words)
    assert result.exit_code == 2
    assert says in result.stderr.replace("\n", " ")


def test_an_agents_own_methods_use_the_same_memory(call: Call) -> None:
    """`Agent` methods use the same memory as the command line, in any event loop."""
    clerk = Agent(name="clerk")

    async def add() -> str:
        return await clerk.add_text_memory("The vault code is kept by Ines.", kind="fact")

    async def search() -> list[tuple[str, object]]:
        try:
            return [(match.text, match.metadata) for match in await clerk.search_text("vault", top_k=1)]
        finally:
            await close_shared_persistence()

    assert asyncio.run(add()) == asyncio.run(add())
    assert asyncio.run(search()) == [("The vault code is kept by Ines.", {"kind": "fact"})]
    assert len(found(call("search", "vault", "--agent", "clerk", "--json"))) == 1
