"""The commands `events` and `publish`, with files that several processes share."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.cli import CommandLine


@pytest.fixture
def starter(tmp_path: Path) -> CommandLine:
    """The command line with a state folder of its own."""
    return CommandLine({"HOLDFAST_HOME": str(tmp_path)})


def test_what_is_published_is_printed(starter: CommandLine) -> None:
    """What one command publishes another prints, once for each key."""
    assert starter("publish", "orders", '{"id": 1}').out == "1\n"
    assert starter("publish", "orders", "-", "--key", "k", stdin='{"id": 2}').out == "2\n"
    assert starter("publish", "orders", '{"id": 2}', "--key", "k").out == "2\n"
    lines = starter("events", "orders").out.splitlines()
    assert [line[:8] + line[24:] for line in lines] == ['     1  {"id": 1}', '     2  {"id": 2}']
    after = starter("events", "orders", "--after", "1", "--json").json
    published_at = datetime.fromisoformat(after.pop("at"))
    assert timedelta() < datetime.now(UTC) - published_at < timedelta(minutes=2)
    assert lines[1][8:22] == f"{published_at.astimezone():%m-%d %H:%M:%S}"
    assert after == {"offset": 2, "ephemeral": False, "data": {"id": 2}}
    nothing = starter("events")
    assert (nothing.code, nothing.out) == (0, "")
    assert "no events of topic 'runs'" in nothing.err


def test_following_prints_what_comes(starter: CommandLine) -> None:
    """`events --follow` prints the events that other processes publish, as they come."""
    starter("publish", "orders", '{"id": 1}')
    with starter.start("events", "orders", "--follow", "--json") as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["data"] == {"id": 1}
        starter("publish", "orders", '{"id": 2}')
        assert json.loads(following.stdout.readline())["data"] == {"id": 2}
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "said"),
    [
        (["events"], {}, 3, "there is no database"),
        (["events"], {"EVENT_BUS_BACKEND": "memory"}, 2, "no other can read"),
        (["events", "orders", "--run", "r"], {}, 2, "exclude each other"),
        (["publish", "orders", "{}"], {"STATE_PERSISTENCE_BACKEND": "memory"}, 2, "no other can read"),
        (["publish", "orders", "{"], {}, 2, "not JSON"),
        (["publish", "orders", "[1]"], {}, 2, "a JSON object"),
        (["publish", "", "{}"], {}, 2, "a topic must be text"),
        (["publish", "orders", "{}", "--key", ""], {}, 2, "key must be text"),
    ],
)
def test_wrong_use_is_explained(
    starter: CommandLine, arguments: list[str], settings: dict[str, str], code: int, said: str
) -> None:
    """Wrong use ends with an exit code and a message that explains it."""
    ended = starter(*arguments, changes=settings)
    assert ended.code == code, ended.err
    assert said in ended.err
