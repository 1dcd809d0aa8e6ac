"""The table of commands in the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from holdfast.commands import COMMANDS, Event

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "control.md"
ROWS = re.findall(r"^\| `(\w+)` \| `(\{.*?\})` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
BY_NAME = {command.NAME: command for command in COMMANDS}


@pytest.mark.parametrize(("name", "given"), ROWS)
def test_the_json_of_each_command_is_accepted(name: str, given: str) -> None:
    """What the page shows can be sent as it is."""
    BY_NAME[name].model_validate(json.loads(given))


def test_each_command_is_documented() -> None:
    """The page has a row for every command that a person sends."""
    assert {name for name, _ in ROWS} == set(BY_NAME) - {Event.NAME}
