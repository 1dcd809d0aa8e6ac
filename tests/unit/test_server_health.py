"""Detection of a Temporal server that runs, but can no longer use its database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from holdfast.stack.server_health import QUESTION, UI_PORT_FLAG, ServerHealth

FAILED = "GetClusterMetadata operation failed. Error: interrupted (9)"
SERVER = (1234, "boot:5678")


class Ui(BaseHTTPRequestHandler):
    """Answers as the web UI of a Temporal server does."""

    status = 503

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == QUESTION else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"code": 14, "message": FAILED}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Writes nothing."""


@pytest.fixture
def ui(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The command of a server whose database fails until `Ui.status` changes."""
    monkeypatch.setattr(Ui, "status", 503)
    with ThreadingHTTPServer(("127.0.0.1", 0), Ui) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield ["temporal", UI_PORT_FLAG, str(server.server_port)]
        server.shutdown()
        thread.join()


def test_a_server_has_failed_when_it_answers_with_nothing_but_errors(ui: list[str]) -> None:
    """The server's own error is returned, and one other answer, or another process, ends the count."""
    health = ServerHealth(interval=0, patience=0)
    assert health.failure(SERVER, ui) == FAILED
    Ui.status = 200
    assert health.failure(SERVER, ui) is None
    Ui.status = 503
    assert ServerHealth(interval=0, patience=3600).failure(SERVER, ui) is None
    patient = ServerHealth(interval=3600, patience=0)
    assert patient.failure(SERVER, ui) is None


def test_a_server_that_does_not_answer_has_not_failed(ui: list[str]) -> None:
    """A server that is busy, stopped, or has no UI is not known to have failed."""
    health = ServerHealth(interval=0, patience=0)
    assert health.failure(SERVER, ["temporal"]) is None
    assert health.failure(SERVER, ["temporal", UI_PORT_FLAG, "1"]) is None
    assert health.failure(SERVER, ui) == FAILED
