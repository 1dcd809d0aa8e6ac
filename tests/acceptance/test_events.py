"""`events` and `publish` on the command line, against files that several processes use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"HOLDFAST_HOME": str(tmp_path), "HOLDFAST_NO_BOOTSTRAP": "1"}


def starter(environment: dict[str, str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, ROOT / "starter.py", *arguments],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_published_is_printed(environment: dict[str, str]) -> None:
    """A script cannot tell another what happened, or is told twice."""
    assert starter(environment, "publish", "orders", '{"id": 1}').stdout == "1\n"
    assert starter(environment, "publish", "orders", "-", "--key", "k", given='{"id": 2}').stdout == "2\n"
    assert starter(environment, "publish", "orders", '{"id": 2}', "--key", "k").stdout == "2\n"
    assert starter(environment, "events", "orders").stdout == '     1  {"id": 1}\n     2  {"id": 2}\n'
    after = starter(environment, "events", "orders", "--after", "1", "--json")
    assert json.loads(after.stdout) == {"offset": 2, "transient": False, "data": {"id": 2}}
    nothing = starter(environment, "events")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "no events of topic 'runs'" in nothing.stderr


def test_following_prints_what_comes(environment: dict[str, str]) -> None:
    """Who waits for an event of another process waits for ever."""
    starter(environment, "publish", "orders", '{"id": 1}')
    command = [sys.executable, str(ROOT / "starter.py"), "events", "orders", "--follow", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["data"] == {"id": 1}
        starter(environment, "publish", "orders", '{"id": 2}')
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
        (["publish", "", "{}"], {}, 2, "a topic is text"),
        (["publish", "orders", "{}", "--key", ""], {}, 2, "a key is text"),
    ],
)
def test_wrong_use_is_explained(
    environment: dict[str, str], arguments: list[str], settings: dict[str, str], code: int, said: str
) -> None:
    """A slip ends in a traceback, or in a database in the wrong folder."""
    ended = starter(environment | settings, *arguments)
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
