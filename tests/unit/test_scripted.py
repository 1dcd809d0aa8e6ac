"""The scripted model, driven over HTTP by a small agent loop with file tools on a temporary folder."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from holdfast.model_reply import ModelReply
from holdfast.models import SCRIPTED_MARK, SCRIPTED_MODEL
from holdfast.models.openai import OpenAIModel
from holdfast.scripted.evidence import MAX_WORDS, needles, parse_hits
from holdfast.scripted.model import LATENCY, STREAMING_TIME, respond
from holdfast.scripted.researcher import TOOLS, slug
from holdfast.testing import ModelServer
from holdfast.types import AgentSpec, Message, ToolCall, ToolSpec

MAX_TURNS = 5
CITATION = re.compile(r"^- “(.*)” \(`(.+):(\d+)`\)$", re.MULTILINE)

FILES = {
    "notes/retries.md": "# Retries\n\nNothing here.\n\nThe worker retries a failed activity with exponential backoff.\n"
    "The first backoff lasts one second.\n",
    "notes/queues.md": "# Queues\n\nA worker polls one queue.\nActivities are small.\n",
    "poem.txt": "The sea was calm.\r\nNo worker came — “alas”: 12:30.\r\n",
    "data/long.txt": "filler line\n" * 300
    + "x" * 500
    + " exponential backoff "
    + "y" * 500
    + "\n"
    + "filler line\n" * 50,
    "reports/old.md": "worker activity exponential backoff retries failed\n",
}
QUESTION = "How does the worker retry a failed activity with exponential backoff?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


@pytest.fixture
async def model() -> AsyncIterator[OpenAIModel]:
    async with ModelServer(respond) as server:
        adapter = OpenAIModel(api_key="none", base_url=server.url, default_model="any")
        yield adapter
        await adapter.close()


class FileTools:
    """The four file tools, as plainly as can be; those named in `broken` report an error."""

    def __init__(self, folder: Path, broken: frozenset[str] = frozenset()) -> None:
        self._folder = folder
        self._broken = broken
        self.used: list[tuple[str, dict[str, Any]]] = []

    def run(self, call: ToolCall) -> str:
        """Makes a call."""
        arguments = json.loads(call.arguments)
        self.used.append((call.name, arguments))
        if call.name in self._broken:
            return "error: the disk is on fire"
        tools: dict[str, Callable[..., str]] = {
            "list_files": self._list,
            "search_files": self._search,
            "read_file": self._read,
            "write_file": self._write,
        }
        return tools[call.name](**arguments)

    def _files(self) -> Iterator[tuple[str, list[str]]]:
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(self._folder).as_posix(), path.read_bytes().decode().splitlines()

    def _list(self) -> str:
        return "\n".join(f"{name}\t{(self._folder / name).stat().st_size}" for name, _ in self._files())

    def _search(self, query: str) -> str:
        numbered = ((name, number, line) for name, lines in self._files() for number, line in enumerate(lines, 1))
        hits = [f"{name}:{number}: {line}" for name, number, line in numbered if query.lower() in line.lower()]
        return "\n".join(hits[:40]) or "(no hits)"

    def _read(self, path: str, start_line: int, max_lines: int) -> str:
        lines = (self._folder / path).read_bytes().decode().splitlines()
        shown = list(enumerate(lines, 1))[start_line - 1 : start_line - 1 + max_lines]
        header = f"{path} lines {shown[0][0]}-{shown[-1][0]} of {len(lines)}"
        return "\n".join([header, *(f"{number}\t{line}" for number, line in shown)])

    def _write(self, path: str, content: str) -> str:
        target = self._folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(content)
        return f"wrote {path} ({len(content.encode())} bytes)"


def offering(*names: str) -> AgentSpec:
    """A definition with these tools."""
    return AgentSpec(name="test", tools=[ToolSpec(name=name, activity=f"tool.{name}") for name in names])


async def run(
    model: OpenAIModel, tools: FileTools, question: str, history: list[Message] | None = None
) -> list[ModelReply]:
    """Runs an agent and returns the model's messages turn by turn; `history` is extended in place."""
    messages = history if history is not None else []
    messages.append(Message(seq=len(messages), role="user", content=question))
    replies: list[ModelReply] = []
    while not replies or replies[-1].tool_calls:
        assert len(replies) < MAX_TURNS, "the script does not end"
        reply = await model.complete(offering(*TOOLS), messages, on_text=lambda _: None)
        replies.append(reply)
        messages.append(
            Message(seq=len(messages), role="assistant", content=reply.content, tool_calls=reply.tool_calls)
        )
        for call in reply.tool_calls:
            result = tools.run(call)
            messages.append(Message(seq=len(messages), role="tool", content=result, tool_call_id=call.id))
    return replies


def citations(text: str, folder: Path) -> list[tuple[str, int]]:
    """The citations in a text, each of which must be right."""
    cited = [(quote, path, int(line)) for quote, path, line in CITATION.findall(text)]
    for quote, path, line in cited:
        assert quote
        assert quote in (folder / path).read_bytes().decode().splitlines()[line - 1]
    return [(path, line) for _, path, line in cited]


async def test_research_finds_quotes_and_reports(model: OpenAIModel, folder: Path) -> None:
    """The scripted research quotes existing lines and reports them."""
    tools = FileTools(folder)
    replies = await run(model, tools, QUESTION)
    assert [{call.name for call in reply.tool_calls} for reply in replies] == [
        {"list_files"},
        {"search_files"},
        {"read_file"},
        {"write_file"},
        set(),
    ]
    assert 2 <= len(replies[1].tool_calls) <= MAX_WORDS
    answer, report = replies[-1].content, (folder / "reports" / f"{slug(QUESTION)}.md").read_text()
    found = citations(answer, folder)
    assert found == citations(report, folder)
    assert found[0] == ("notes/retries.md", 5)
    assert ("data/long.txt", 301) in found
    assert not any(path.startswith("reports/") for path, _ in found)
    assert 2 <= len(found) <= 5
    assert f"reports/{slug(QUESTION)}.md" in answer
    assert QUESTION in report
    assert "`notes/retries.md`, lines 1-6" in report
    assert "“exponential”: 2 lines" in report


async def test_mark_stands_in_all_that_it_says(model: OpenAIModel, folder: Path) -> None:
    """Every text says that it is scripted."""
    replies = await run(model, FileTools(folder), QUESTION)
    assert all(SCRIPTED_MARK in reply.content for reply in replies)
    assert SCRIPTED_MARK in next((folder / "reports").glob("how-*.md")).read_text()
    assert {reply.model for reply in replies} == {SCRIPTED_MODEL}
    assert all(reply.usage.input_tokens and reply.usage.output_tokens for reply in replies)


async def test_ids_of_calls_do_not_repeat(model: OpenAIModel, folder: Path) -> None:
    """Ids of calls are unique."""
    replies = await run(model, FileTools(folder), QUESTION)
    ids = [call.id for reply in replies for call in reply.tool_calls]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("question", ["Which zebras yodel at midnight?", "What is it?", "???"])
async def test_nothing_found_is_reported(model: OpenAIModel, folder: Path, question: str) -> None:
    """Research without hits ends with an answer that says so."""
    tools = FileTools(folder)
    answer = (await run(model, tools, question))[-1].content
    ((_, written),) = [use for use in tools.used if use[0] == "write_file"]
    for text in (answer, written["content"]):
        assert "I found nothing" in text
        assert SCRIPTED_MARK in text
        assert not CITATION.search(text)
    assert written["path"] in answer
    for needle in needles(question):
        assert needle in written["content"]


@pytest.mark.parametrize("broken", [*sorted(TOOLS), "all"])
async def test_tool_errors_are_reported(model: OpenAIModel, folder: Path, broken: str) -> None:
    """Errors of tools are reported, and the run continues."""
    tools = FileTools(folder, TOOLS if broken == "all" else frozenset({broken}))
    answer = (await run(model, tools, QUESTION))[-1].content
    assert "the disk is on fire" in answer
    assert SCRIPTED_MARK in answer
    citations(answer, folder)
    written = "No report was written" not in answer
    assert written == (broken not in ("write_file", "all"))
    if written:
        assert "the disk is on fire" in (folder / "reports" / f"{slug(QUESTION)}.md").read_text()


async def test_each_question_of_a_session_is_researched(model: OpenAIModel, folder: Path) -> None:
    """Every question of a session is researched."""
    history: list[Message] = []
    tools = FileTools(folder)
    await run(model, tools, QUESTION, history)
    second = await run(model, tools, "What was the sea like in the poem: was it calm?", history)
    assert len(second) == MAX_TURNS
    assert ("poem.txt", 1) in citations(second[-1].content, folder)


@pytest.mark.parametrize("offered", [[], ["get_time"], ["list_files", "read_file"]])
async def test_without_its_tools_it_says_so(model: OpenAIModel, offered: list[str]) -> None:
    """Without file tools the script says what it needs."""
    messages = [Message(seq=0, role="user", content="What is the capital of France?")]
    reply = await model.complete(offering(*offered), messages, on_text=lambda _: None)
    assert not reply.tool_calls
    assert "What is the capital of France?" in reply.content
    assert SCRIPTED_MARK in reply.content
    assert all(name in reply.content for name in offered)


@pytest.mark.parametrize(
    ("question", "searched"),
    [
        ("How does the worker retry a failed activity?", ["activity", "worker", "failed", "retry"]),
        ('Where is "exact phrase" set?', ["exact phrase", "phrase", "exact", "set"]),
        ("What do MAX_TURNS and retries mean for timeouts?", ["max_turn", "timeout", "retr", "mean"]),
        ("Was bedeutet Größe für Straßen?", ["bedeutet", "straßen", "größe", "für"]),
        ("What is it about?", []),
        ("a " * 1000, []),
    ],
)
def test_words_that_say_most_are_searched_for(question: str, searched: list[str]) -> None:
    """The rarest words of a question are searched for."""
    assert needles(question) == searched


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("How does it work?", "how-does-it-work"),
        ("../../etc/passwd", "etc-passwd"),
        ("word " * 50, "word-" * 11 + "word"),
    ],
)
def test_report_names_are_plain(text: str, name: str) -> None:
    """The name of a report is plain for any question."""
    assert slug(text) == name
    assert re.fullmatch(r"question-[0-9a-f]{8}", slug("你好"))


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server as users run it, and the line that it prints."""
    command = [sys.executable, "-m", "holdfast.scripted.model", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server, server.stdout.readline()
        finally:
            server.kill()


async def test_process_serves_quickly_and_stops() -> None:
    """The server process starts quickly, serves and stops."""
    with process("--port", "0") as (server, line):
        url = re.search(r"http://\S+/v1", line)
        assert url
        assert SCRIPTED_MARK in line
        model = OpenAIModel(api_key="none", base_url=url[0], default_model="any")
        pieces: list[str] = []
        ask = Message(seq=0, role="user", content="hello")
        await model.complete(offering(), [ask], on_text=pieces.append)  # pays for the first connection
        reply = await model.complete(offering(), [ask], on_text=pieces.append)
        await model.close()
        assert len(pieces) > 2
        assert LATENCY + STREAMING_TIME < 0.1
        assert LATENCY <= reply.seconds < 1
        server.send_signal(signal.SIGTERM)
        stopping = time.monotonic()
        server.wait(timeout=5)
        assert time.monotonic() - stopping < 3


async def test_taken_port_is_reported_in_a_line() -> None:
    """A port in use is reported in one line."""
    async with ModelServer() as other:
        command = [sys.executable, "-m", "holdfast.scripted.model", "--port", str(other.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: ASYNC221
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot listen on 127.0.0.1:{other.port}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "{}", '{"messages": []}', '{"messages": [1]}', '{"messages": [{"role": "user"}], "tools": [{}]}'],
)
def test_malformed_bodies_get_openais_error(body: str) -> None:
    """Malformed requests get an error in OpenAI's format."""
    with ModelServer(respond) as server:
        request = httpx2.post(f"{server.url}/chat/completions", content=body)
    assert request.status_code == 400
    assert request.json()["error"]["type"] == "invalid_request_error"
    assert request.json()["error"]["message"]


def test_unstreamed_replies_work() -> None:
    """Requests without streaming are answered."""
    body = {"model": "any", "messages": [{"role": "user", "content": [{"type": "text", "text": "hello there"}]}]}
    with ModelServer(respond) as server:
        reply = httpx2.post(f"{server.url}/chat/completions", json=body).json()
    assert "hello there" in reply["choices"][0]["message"]["content"]
    assert reply["model"] == SCRIPTED_MODEL
    assert reply["usage"]["total_tokens"] > 0


def test_pictures_and_reports_are_no_evidence() -> None:
    """The researcher quotes documents, neither drawings that are stored as text nor its own earlier reports."""
    found = "notes.md:3: a worker is killed\nimages/demo.svg:9: killed\nreports/worker.md:1: killed"
    assert [hit.path for hit in parse_hits("killed", found)] == ["notes.md"]
