"""Test of the example."""

import io

import pytest
from chat_session import main

from holdfast.testing import AgentServer, ModelServer


async def test_the_conversation_goes_on(
    model: ModelServer, serve: AgentServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second program has what was said in the first."""
    serve()
    model.say("Hello, Ada.")
    model.say("You are Ada.")
    for line in ("My name is Ada.\n", "What is my name?\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(line))
        await main("tour-1")
    assert capsys.readouterr().out.splitlines() == ["Hello, Ada.", "You are Ada."]
    said = [message["content"] for message in model.requests[1].messages if message["role"] == "user"]
    assert said == ["My name is Ada.", "What is my name?"]
