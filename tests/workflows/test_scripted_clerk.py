"""README's agent with the scripted model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from holdfast.models import SCRIPTED_MARK, SCRIPTED_MODEL
from holdfast.scripted.model import respond
from tests.support.lab import Lab

README = Path(__file__).parents[2] / "README.md"


async def test_the_clerk_of_the_readme_answers_without_a_key(lab: Lab) -> None:
    """The agent that README shows calls its tool, and the answer quotes the number in stock."""
    code = re.search(r"```python\n(# my_agents\.py\n.*?)```", README.read_text(), re.DOTALL)
    assert code
    question = re.search(r'run clerk "([^"]+)"', README.read_text())
    assert question
    names: dict[str, Any] = {"__name__": "my_agents"}
    exec(code[1], names)
    clerk = names["clerk"]
    clerk.model = SCRIPTED_MODEL
    lab.server.respond = respond
    async with lab.worker(clerk):
        result = await lab.holdfast.run("clerk", question[1])
    assert result.success
    assert "`stock(article='anchor')` returned:\n\n3\n" in result.content
    assert SCRIPTED_MARK in result.content
    assert result.metadata["tool_calls"] == 1
