"""Standard output: the document of a command with `--json`, or what a user's program prints, and nothing else."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from holdfast.cli.verbs import VERBS
from holdfast.storage.database.gateway.descriptor import DescriptorFile
from tests.support.cli import ROOT, TIMEOUT, Done
from tests.support.cli_stack import QUESTION, CliStack
from tests.support.freezing import freeze
from tests.support.tiers import slow

AGENT = 'name = "kept"\nsystem_prompt = "Answer."\n'
FIRST, HELD = "RUN", "HELD"
"""Stand for the ids of a run that has ended, and of one whose model does not answer yet."""

ARGUMENTS = {
    "run": ("run", "researcher", QUESTION),
    "list": ("list",),
    "show": ("show", FIRST),
    "watch": ("watch", HELD),
    "result": ("result", HELD),
    "transcript": ("transcript", FIRST),
    "cancel": ("cancel", HELD),
    "terminate": ("terminate", HELD, "--reason", "a test"),
    "agents list": ("agents", "list"),
    "agents show": ("agents", "show", "kept"),
    "agents register": ("agents", "register", "agent.toml"),
    "agents unregister": ("agents", "unregister", "kept"),
    "agents history": ("agents", "history", "kept"),
    "inbox": ("inbox",),
    "send": ("send", HELD, "Be quick."),
    "pause": ("pause", HELD),
    "resume": ("resume", HELD),
    "interrupt": ("interrupt", HELD, "Be quick."),
    "approve": ("approve", HELD, "call"),
    "deny": ("deny", HELD, "call"),
    "answer": ("answer", HELD, "call", "Yes."),
    "resolve": ("resolve", HELD, "call", "--did-not"),
    "emit": ("emit", "arrived", "{}"),
    "budget": ("budget", FIRST),
    "checkpoints": ("checkpoints", FIRST),
    "files": ("files", FIRST),
    "memory list": ("memory", "list"),
    "memory clear": ("memory", "clear", "researcher", "--yes"),
    "restore": ("restore", HELD, "turn-1"),
    "compact": ("compact", HELD),
    "diff": ("diff", FIRST, FIRST),
    "tool": ("tool", "researcher", "list_files"),
    "remember": ("remember", "Meyer pays late."),
    "search": ("search", "Meyer"),
    "events": ("events", "orders"),
    "publish": ("publish", "orders", "{}"),
    "sql": ("sql", "SELECT * FROM event LIMIT 2"),
    "doctor verify": ("doctor", "verify", FIRST),
    "doctor rebuild": ("doctor", "rebuild", FIRST),
    "import": ("import", "bundle.jsonl"),
    "prune": ("prune", "--older-than", "30d", "--yes"),
    "status": ("status",),
}
ELSEWHERE = {"up", "down", "restart", "demo crash", "chat", "fork", "rerun", "replay"}
"""Commands that start, stop or kill processes or start runs themselves; their own tests read their documents."""

REFUSED, WRONG_USE = 1, 2  # exit codes of a command to a run that does not wait for it, or has no such checkpoint
DAMAGED = 4  # exit code of `doctor verify`, as this database does not mirror the run
ERRORS_ALONE = {
    **dict.fromkeys(("approve", "deny", "resume", "answer", "resolve"), REFUSED),  # the run waits for its model
    "restore": WRONG_USE,
    "files": 1,
    "memory clear": 2,
}
"""Exit codes of commands that the run refuses, or on what this database lacks: the contents of files, and an agent's
memory folder."""
QUICK = ("watch", "events", "sql")  # a subscription, a read of the bus, a query
ALL = [*QUICK, *slow(*(verb for verb in ARGUMENTS if verb not in QUICK))]


@dataclass(frozen=True)
class Shared:
    """A database that the commands share with another process."""

    cli: CliStack
    settings: Mapping[str, str]
    path: Path
    run_id: str

    @contextmanager
    def owner(self) -> Iterator[subprocess.Popen[bytes]]:
        """Yields another process, which owns the database."""
        command = [sys.executable, "-m", "tests.support.sharing_peer", f"surrealkv://{self.path}"]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(b'["open"]\n')
                process.stdin.flush()
                assert json.loads(process.stdout.readline()) == [True, True]
                yield process
            finally:
                process.kill()

    def with_killed_owner(self, *words: str) -> Done:
        """Runs a command, and kills the owner of the database while it waits for the owner's answer."""
        with self.owner() as owner:
            descriptor = DescriptorFile(self.path).read()
            assert descriptor is not None
            freeze(owner.pid)
            with self.cli.start(*words, changes=self.settings) as process:
                try:
                    _wait_for_connection(process, int(descriptor.address.rpartition(":")[2]))
                    owner.kill()
                    self.cli.server.release()
                    out, err = process.communicate(timeout=TIMEOUT)
                finally:
                    process.kill()
        return Done(process.returncode, out, err)


def _wait_for_connection(process: subprocess.Popen[bytes], port: int) -> None:
    """Waits until a process is connected to a port, or has ended."""
    found = psutil.Process(process.pid)
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(psutil.Error):
            family = [found, *found.children(recursive=True)]
            if any(to.raddr and to.raddr.port == port for each in family for to in each.net_connections("tcp")):
                return
        time.sleep(0.01)


@pytest.fixture(scope="module")
def shared(cli_stack: CliStack, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    home = tmp_path_factory.mktemp("shared")
    settings = {"HOLDFAST_HOME": str(home), "TEMPORAL_ADDRESS": cli_stack.temporal_address()}
    (cli_stack.documents.parent / "agent.toml").write_text(AGENT)
    run_id = cli_stack("run", "researcher", QUESTION, "--json").json["run_id"]
    for words in [
        ("agents", "register", "agent.toml"),
        ("publish", "orders", "{}"),
        ("export", "--all", "--output", "bundle.jsonl"),
    ]:
        done = cli_stack(*words, changes=settings)
        assert done.code == 0, done.err
    return Shared(cli_stack, settings, home / "surrealdb", run_id)


@pytest.mark.parametrize("verb", ALL)
def test_only_the_document_is_on_standard_output(cli: CliStack, shared: Shared, verb: str) -> None:
    """A command whose database loses its owner writes one document, or none and an error; the rest goes to stderr."""
    words = ARGUMENTS[verb]
    if FIRST in words:
        words = tuple(shared.run_id if word == FIRST else word for word in words)
    elif HELD in words:
        held = cli.start_held()
        words = tuple(held if word == HELD else word for word in words)
    elif verb == "run":
        cli.server.hold()
    done = shared.with_killed_owner(*words, "--json")
    assert done.code in {0, REFUSED, WRONG_USE, DAMAGED, 130}, done.err
    if verb in ERRORS_ALONE:
        assert (done.code, done.out) == (ERRORS_ALONE[verb], "")
        assert done.err.startswith("error: ")
        return
    for text in done.out.splitlines() if verb == "events" else [done.out]:
        json.loads(text)


def test_no_command_is_left_out() -> None:
    """Every command with `--json` has arguments here."""
    with_json = {verb.words for verb in VERBS if "json" in inspect.signature(verb.load()[0]).parameters}
    assert with_json == ARGUMENTS.keys() | ELSEWHERE


def test_a_program_keeps_its_standard_output(cli: CliStack) -> None:
    """A program that uses the client finds nothing on its standard output, even if the Temporal server is lost."""
    command = [sys.executable, "-m", "tests.support.lost_server", cli.temporal_address()]
    done = subprocess.run(
        command, cwd=ROOT, env=cli.environment(), capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    assert done.stdout == ""
