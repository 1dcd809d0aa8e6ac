"""The shipped assistant with the scripted model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from holdfast.agents.shipped.assistant import assistant
from holdfast.models import SCRIPTED_MARK
from holdfast.scripted.assistant import Assistance
from holdfast.scripted.model import respond
from tests.support.lab import Lab
from tests.support.web_server import answer, web_server


async def test_the_assistant_reads_remembers_and_finds(lab: Lab, tmp_path: Path) -> None:
    """It reads a page of a named private host, no other one, and finds later what it was told to remember."""
    lab.server.respond = respond
    page = "<h1>Ropes</h1><p>We have <b>12</b> ropes.</p>"
    async with web_server({"/ropes": answer(page, "text/html")}) as server:
        host = f"127.0.0.1:{server.port}"
        lab = replace(lab, settings=lab.settings.model_copy(update={"http_private_hosts": (host,)}))
        task = f"Read http://{host}/ropes and http://localhost:1/x, and remember: Ann likes hemp."
        async with lab.worker(assistant, max_cached_workflows=100):
            result = await lab.holdfast.run("assistant", task, workspace=tmp_path)
            found = await lab.holdfast.run("assistant", "What does Ann like?", workspace=tmp_path)
    assert result.success
    for words in (
        "# Ropes\n\nWe have 12 ropes.",
        "'localhost' has an address of the worker's own machine",
        SCRIPTED_MARK,
    ):
        assert words in result.content, result.content
    assert "Ann likes hemp." in found.content
    asked = Assistance("Ask me: Which rope?", []).next_reply().tool_calls
    assert [(call.name, call.arguments) for call in asked] == [("ask_human", {"question": "Which rope?"})]
