"""Cassettes: recorded runs that are replayed without their model."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast import Agent, Holdfast, tool
from holdfast.scripted.cassette import Cassette
from holdfast.testing import ModelServer, call_tools, say
from tests.support.cli import CommandLine

Serve = Callable[..., None]
Play = Callable[..., Cassette]


@tool(read_only=True)
def stock(article: str) -> int:
    """Returns the number of pieces."""
    return {"rope": 12}.get(article, 0)


counter = Agent(name="counter", description="Counts.", system_prompt="You count.", model="m-small", tools=[stock])
clerk = Agent(name="clerk", system_prompt="You answer\nin one line.", agents=[counter])
changed = Agent(name="changed", system_prompt="You answer\nin two lines.", agents=[counter])
ANSWER = "There are 12 ropes."


@pytest.fixture
def recorded(model: ModelServer, hf: Holdfast, serve: Serve, tmp_path: Path) -> Path:
    """The cassette of a run that has asked another agent, as the command writes it."""
    serve(clerk, changed)
    model.reply(
        call_tools(ask_counter={"input": "How many ropes?"}),
        call_tools(stock={"article": "rope"}),
        say("12"),
        say(ANSWER),
    )
    run = asyncio.run(hf.run("clerk", "How many?"))
    assert run.content == ANSWER
    done = asyncio.run(CommandLine({**os.environ}).run("record", run.run_id))
    assert "4 model calls of 2 runs written to standard output" in done.err
    path = tmp_path / "clerk.jsonl"
    path.write_bytes(done.stdout)
    return path


def test_recorded_run_replays_offline(
    recorded: Path, model: ModelServer, hf: Holdfast, cassette: Play, called: Callable[..., object]
) -> None:
    """`record` writes a line for each model call of a run and its children, and they answer a new run of the same."""
    lines = [json.loads(line) for line in recorded.read_text().splitlines()]
    assert [line["request"].get("model") for line in lines] == [None, None, "m-small", "m-small"]
    assert [line["reply"].get("content") for line in lines] == [None, ANSWER, None, "12"]
    assert lines[3]["request"]["messages"][-1] == {"role": "tool", "content": "12", "tool_call_id": "call 1"}
    assert re.search(r"call_\d", recorded.read_text()) is None
    played = cassette(recorded)
    again = asyncio.run(hf.run("clerk", "How many?"))
    assert again.content == ANSWER
    assert called(again, "ask_counter")
    played.assert_complete()
    model.assert_complete()


def test_changed_prompt_misses_loudly(recorded: Path, hf: Holdfast, cassette: Play) -> None:
    """A request that was not recorded fails the run, and is compared with the nearest recorded one, line by line."""
    played = cassette(recorded)
    result = asyncio.run(hf.run("changed", "How many?"))
    assert "no request in clerk.jsonl matches; the nearest one, in line 1, differs" in str(result.error)
    [miss] = played.misses
    assert miss.splitlines()[1:] == [
        "@@ -2,5 +2,5 @@",
        " system:",
        "   You answer",
        "-  in one line.",
        "+  in two lines.",
        " user:",
        "   How many?",
    ]
    with pytest.raises(AssertionError, match="in two lines"):
        played.assert_complete()
    ignoring = cassette(recorded, ignore=[r"in \w+ lines?"])
    assert asyncio.run(hf.run("changed", "How many?")).content == ANSWER
    ignoring.assert_complete()
    played.misses.clear()  # the fixture fails a test with misses
