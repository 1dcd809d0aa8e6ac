"""Registered agents on the command line: defined in a file, run by name, changed while they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import ROOT
from tests.support.cli_stack import CliStack

GUIDE = """
name = "guide"
description = "Answers questions about a folder"
system_prompt = "Version one."
tools = ["list_files", "search_files", "read_file", "write_file"]
max_turns = 20
"""


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    """A file with an agent."""
    file = tmp_path / "guide.toml"
    file.write_text(GUIDE)
    return file


def test_an_agent_lives_in_a_file(cli: CliStack, guide: Path) -> None:
    """An agent can be registered from a file, run by name, and changed; a run keeps the definition that it started
    with.
    """
    registered = cli("agents", "register", str(guide))
    assert registered.code == 0, registered.err
    assert registered.out == "guide: version 1 is registered\n"
    assert cli("agents", "register", str(guide)).out == "guide: unchanged, version 1\n"

    cli.server.hold()
    seen = len(cli.server.requests)
    started = cli("run", "guide", "What is there?", "--workspace", str(cli.documents), "--mode", "background")
    assert started.code == 0, started.err
    cli.wait_for_requests(seen + 1)
    guide.write_text(GUIDE.replace("one", "two").replace("20", "1"))
    again = cli("agents", "register", str(guide), "--json")
    assert [(one["version"], one["new"]) for one in again.json] == [(2, True)]
    cli.server.release()

    run_id = started.out.strip()
    assert cli("result", run_id).code == 0
    prompts = {request.messages[0]["content"] for request in cli.server.requests[seen:]}
    assert prompts == {"Version one."}
    shown = cli("show", run_id)
    assert "guide, version 1" in shown.out
    assert cli("show", run_id, "--json").json["agent_version"] == 1

    history = cli("agents", "history", "guide", "--json").json
    assert [(one["version"], one["system_prompt"]) for one in history] == [(1, "Version one."), (2, "Version two.")]
    lines = cli("agents", "history", "guide").out.splitlines()
    assert lines[2].split()[-2:] == ["system_prompt,", "max_turns"]
    exact = cli("run", "guide@1", "What is there?", "--workspace", str(cli.documents), "--json")
    assert exact.code == 0, exact.err
    assert exact.json["agent"] == "guide"


def test_what_is_shown_registers_as_the_same(cli: CliStack, guide: Path) -> None:
    """What `agents show` prints in any format registers as the same version."""
    assert cli("agents", "register", str(guide)).code == 0
    before = cli("agents", "show", "guide", "--json").json
    for language in ("toml", "yaml", "json"):
        text = cli("agents", "show", "guide", "--format", language)
        again = cli("agents", "register", "-", "--format", language, "--json", stdin=text.out)
        assert again.json[0]["new"] is False, again.err
    assert cli("agents", "show", "guide", "--json").json == before


def test_the_list_says_where_agents_are_from(cli: CliStack, guide: Path) -> None:
    """`agents list` says whether code or the registry defines an agent; a removed one can no longer be run."""
    assert cli("agents", "register", str(guide)).code == 0
    for words in (["agents"], ["agents", "list"]):
        shown = cli(*words).out.splitlines()
        lines = {line.split()[0]: line.split()[1:3] for line in shown}
        assert lines["researcher"][0] == "code"
        assert lines["guide"][0] == "registry"
        assert lines["guide"][1].isdigit()
        assert max(map(len, shown)) <= 80
    listed = {agent["name"]: agent["from"] for agent in cli("agents", "--json").json}
    assert listed["researcher"] == "code"
    assert listed["guide"] == "registry"
    assert cli("agents", "unregister", "guide").code == 0
    assert "guide" not in [agent["name"] for agent in cli("agents", "--json").json]
    refused = cli("run", "guide", "Hello?", "--json")
    assert refused.code == 2
    assert (refused.out, "'guide' not found" in refused.err) == ("", True)
    assert cli("agents", "unregister", "guide").code == 2
    assert cli("agents", "show", "guide").code == 2
    assert cli("agents", "show", "guide", "--version", "1").code == 0


def test_nothing_is_registered_when_one_file_is_wrong(cli: CliStack, guide: Path, tmp_path: Path) -> None:
    """If one of several files is invalid, none is registered, and each mistake is reported."""
    guide.write_text(GUIDE.replace('"guide"', '"fresh"'))
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: no\n")
    tools = tmp_path / "tools.json"
    tools.write_text('{"name": "flyer", "tools": ["fly"]}')
    done = cli("agents", "register", str(guide), str(wrong), str(tmp_path / "gone.toml"))
    assert done.code == 2
    assert "wrong.yaml, line 1: YAML reads no as true or false" in done.err
    assert f"cannot read {tmp_path / 'gone.toml'}" in done.err
    refused = cli("agents", "register", str(guide), str(tools))
    assert refused.code == 2
    assert "'fly'; known: " in refused.err
    assert "read_file" in refused.err
    assert "fresh" not in [agent["name"] for agent in cli("agents", "--json").json]
    assert cli("agents", "register", str(tools), "--any-tools").code == 0
    assert cli("agents", "register", "-", stdin=GUIDE).code == 2
    assert cli("agents", "register", str(guide), str(guide.rename(tmp_path / "x.txt"))).code == 2
    memory = cli("agents", "register", str(tools), "--any-tools", changes={"STATE_PERSISTENCE_BACKEND": "memory"})
    assert memory.code == 2
    assert "AGENT_REGISTRY" in memory.err


def test_a_registry_of_ones_own_serves_the_worker(cli: CliStack, guide: Path) -> None:
    """Both the command line and the worker use the registry that AGENT_REGISTRY names."""
    page = (ROOT / "docs" / "howto" / "registry.md").read_text()
    module = page.partition("# team_registry.py\n")[2].partition("```")[0]
    (guide.parent / "team_registry.py").write_text(module)
    own = {"AGENT_REGISTRY": "team_registry:SqliteRegistry", "PYTHONPATH": str(guide.parent)}
    guide.write_text(GUIDE.replace('"guide"', '"sqlite guide"'))
    assert cli("agents", "register", str(guide), changes=own).code == 0
    assert "sqlite guide" in cli("agents", changes=own).out
    assert "another value of AGENT_REGISTRY" in cli("run", "sqlite guide", "Hello?", changes=own).err
    assert cli("up", changes=own).code == 0
    done = cli("run", "sqlite guide", "Hello?", "--workspace", str(cli.documents), "--json", changes=own)
    assert done.code == 0, done.err
    assert cli("up").code == 0
    assert cli("run", "sqlite guide", "Hello?").code == 2
