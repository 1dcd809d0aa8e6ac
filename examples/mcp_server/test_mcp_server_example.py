"""Test of the example."""

from pathlib import Path

import pytest
from mcp_server import librarian

from holdfast.errors import CommandRefused
from holdfast.testing import AgentServer, ModelServer


async def test_a_person_says_for_how_long(
    model: ModelServer, serve: AgentServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent looks at the shelf, and lends the book for as long as the person has said."""
    monkeypatch.chdir(tmp_path)
    serve()
    model.call_tools(("library__copies", {"title": "Dune"}))
    model.call_tools(("library__lend", {"title": "Dune"}))
    model.say("Here you are.")
    run = await librarian.start("Lend Dune.")
    async for event in run.events():
        if event.kind == "wait":
            wait = event.data["wait"]
            assert "For how many days may Dune be lent?" in wait["data"]["question"]
            with pytest.raises(CommandRefused, match="must be integer"):
                await run.answer(wait["id"], "some")
            await run.answer(wait["id"], "14")
    assert (await run.result()).content == "Here you are."
    assert (tmp_path / "loans.txt").read_text() == "Dune for 14 days\n"
