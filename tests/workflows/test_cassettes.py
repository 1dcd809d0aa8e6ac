"""Cassettes: recorded runs that are replayed without their model."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast import Agent, Holdfast, Usage, tool
from holdfast.scripted.recording import recording_of
from holdfast.testing import AgentServer, Called, Cassette, ModelServer, call_tools, say
from tests.support.cli import CommandLine

Play = Callable[..., Cassette]


@tool(read_only=True)
def stock(article: str) -> int:
    """Returns the number of pieces."""
    return {"rope": 12}.get(article, 0)


counter = Agent(name="counter", system_prompt="You count\nin one line.", model="m-small", tools=[stock])
clerk = Agent(name="clerk", system_prompt="You answer.", agents=[counter])
changed = Agent(name="changed", system_prompt="You count\nin two lines.", model="m-small", tools=[stock])
ANSWER = "There are 12 ropes."


def test_recorded_run_replays_offline(
    model: ModelServer, hf: Holdfast, serve: AgentServer, cassette: Play, *, called: Called, tmp_path: Path
) -> None:
    """`record` writes a line for each model call of a run and its children, and they answer a new run of the same."""
    serve(clerk)
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
    assert re.search(r"call_\d", done.out) is None
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["request"].get("model") for line in lines] == [None, None, "m-small", "m-small"]
    assert [line["reply"].get("content") for line in lines] == [None, ANSWER, None, "12"]
    assert lines[3]["request"]["messages"][-1] == {"role": "tool", "content": "12", "tool_call_id": "call 1"}
    recorded = tmp_path / "clerk.jsonl"
    recorded.write_text(done.out)
    played = cassette(recorded)
    again = asyncio.run(hf.run("clerk", "How many?"))
    assert again.content == ANSWER
    assert called(again, "ask_counter")
    played.assert_complete()
    model.assert_complete()


def test_changed_prompt_misses_loudly(
    model: ModelServer, hf: Holdfast, serve: AgentServer, cassette: Play, tmp_path: Path
) -> None:
    """A request that was not recorded fails the run, and is compared with the nearest recorded one, line by line."""
    serve(counter, changed)
    model.say("12", usage=Usage(input_tokens=9))
    recorded = tmp_path / "counter.jsonl"
    recorded.write_text("\n".join(asyncio.run(recorded_lines(hf, "counter", "How many?"))))
    played = cassette(recorded)
    result = asyncio.run(hf.run("changed", "How many?"))
    assert "no request in counter.jsonl matches; the nearest one, in line 1, differs" in str(result.error)
    [miss] = played.misses
    assert miss.splitlines()[1:] == [
        "@@ -2,5 +2,5 @@",
        " system:",
        "   You count",
        "-  in one line.",
        "+  in two lines.",
        " user:",
        "   How many?",
    ]
    with pytest.raises(AssertionError, match="in two lines"):
        played.assert_complete()
    played.misses.clear()  # the fixture fails a test with misses
    ignoring = cassette(recorded, ignore=[r"in \w+ lines?"])
    assert asyncio.run(hf.run("changed", "How many?")).content == "12"
    ignoring.assert_complete()


async def recorded_lines(hf: Holdfast, agent: str, text: str) -> list[str]:
    """Runs an agent and returns the lines of its cassette."""
    run = await hf.start(agent, text)
    await run.result()
    return [each.line() for each in recording_of([entry async for entry in run.entries()]).interactions]
