"""A whole stack that tests use through the command line alone.

The model is the scripted one, behind a server that can be told to hold its answers, so that a run stays where a test
wants it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.scripted.chat import ChatReply, ChatRequest
from holdfast.scripted.model import respond
from holdfast.testing import ModelServer
from tests.support.cli import CommandLine

START_TIMEOUT = 600.0  # seconds for the first command, which may have to build a Temporal server
LATENCY = 0.03  # seconds; `demo crash` needs a model that takes some time, so that it has a call to interrupt
QUESTION = "What does the harbour master promise?"
ANSWER = "The harbour master promises that no boat is lost."


@dataclass(frozen=True, kw_only=True)
class CliStack(CommandLine):
    """The command line of one stack.

    Attributes:
        documents: a folder with the document that answers `QUESTION`.
        server: the model.
    """

    documents: Path
    server: ModelServer

    @property
    def home(self) -> Path:
        """The state folder."""
        return Path(self.settings["HOLDFAST_HOME"])

    def start_held(self) -> str:
        """Starts a run whose first model call is not answered until the server is released."""
        self.server.hold()
        seen = len(self.server.requests)
        run_id = f"held-{uuid.uuid4().hex[:8]}"
        assert self("run", "researcher", QUESTION, "--id", run_id, "--mode", "background").code == 0
        self.wait_for_requests(seen + 1)
        return run_id

    def temporal_address(self) -> str:
        """Returns the address of the stack's Temporal server."""
        parts = self("status", "--json").json["parts"]
        return str(next(part["address"] for part in parts if part["name"] == "temporal"))

    def wait_for_requests(self, count: int) -> None:
        """Waits until the model has received that many requests in total."""
        asyncio.run(self.server.wait_for_requests(count))


@contextmanager
def open_cli_stack(folder: Path) -> Iterator[CliStack]:
    """Starts a stack by its first command, and checks at the end that `down` stops all of it."""
    documents = folder / "documents"
    documents.mkdir()
    (documents / "harbour.md").write_text(f"# The harbour\n\n{ANSWER}\nBoats come and go.\n")
    with ModelServer(_paced) as server:
        settings = {
            "HOLDFAST_HOME": str(folder / "home"),
            "OPENAI_BASE_URL": server.url,
            "OPENAI_MODEL": "scripted",
        }
        stack = CliStack(settings=settings, folder=folder, documents=documents, server=server)
        first = stack("list", timeout=START_TIMEOUT)
        try:
            assert first.code == 0, first.err
            assert "starting it" in first.err
            assert first.out == ""
            yield stack
        finally:
            stopped = stack("down")
        assert stopped.code == 0
        assert stack("status").code == 3


def _paced(request: ChatRequest) -> ChatReply:
    return replace(respond(request), delay=LATENCY)
