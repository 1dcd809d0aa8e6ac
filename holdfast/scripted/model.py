"""The scripted model: a server that answers by fixed rules, so that agents run without a model.

It plays the shipped agents, which it knows by their tools or their prompt: with the four file tools it researches a
question (see `researcher`), and if it can run commands as well, it writes and runs what a task quotes (see `coder`).
Other tools it calls by plain rules (see `toolbox`). If none fits, it repeats the question and says that it is a script.
An answer that must match a JSON schema is filled in with words and numbers of the question. It has no state: a reply
depends only on the request. Token counts are estimates, at four characters per token. Embeddings are computed by
feature hashing.

    python -m holdfast.scripted.model --port 8099
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Send

from holdfast.attachments import size_text
from holdfast.chat_format import RESULT_FILES, RESULT_IMAGES
from holdfast.models import SCRIPTED_MARK, SCRIPTED_MODEL
from holdfast.scripted import assistant, coder, frontend, persona
from holdfast.scripted.chat import ChatReply, ChatRequest, text_pieces
from holdfast.scripted.guesses import guess_calls
from holdfast.scripted.hashing import HASHING_MODEL
from holdfast.scripted.researcher import TOOLS, Research
from holdfast.scripted.server import Answer, BadRequest, chat_app, chat_server, listen, send_reply
from holdfast.scripted.tool_use import ToolUse
from holdfast.scripted.toolbox import OfferedTool, Toolbox

LATENCY = 0.02  # seconds before each reply: enough to follow the turns of a demo
STREAMING_TIME = 0.05  # seconds over which a text of any length is streamed


class _Url(BaseModel):
    url: str = ""


class _Content(BaseModel):
    filename: str = "a file"
    file_data: str = ""
    data: str = ""
    format: str = ""


class _Part(BaseModel):
    text: str = ""
    image_url: _Url | None = None
    file: _Content | None = None
    input_audio: _Content | None = None

    @property
    def received(self) -> str | None:
        """What it is if it is not text, as far as a script can tell; `None` if it is text."""
        if self.image_url is not None:
            return _described("an image", self.image_url.url)
        if self.file is not None:
            return _described(f"the file {self.file.filename}", self.file.file_data)
        if self.input_audio is not None:
            return f"audio ({self.input_audio.format}, {size_text(_decoded_size(self.input_audio.data))})"
        return None


def _described(what: str, url: str) -> str:
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:"):
        return f"{what} at {url}"
    return f"{what} ({head[len('data:') :].partition(';')[0]}, {size_text(_decoded_size(data))})"


def _decoded_size(data: str) -> int:
    return len(data) * 3 // 4 - data[-2:].count("=")


class _Function(BaseModel):
    name: str
    arguments: str = "{}"


class _Call(BaseModel):
    id: str
    function: _Function


class _Message(BaseModel):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The content, joined if it has parts."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.received is None)
        return self.content or ""

    @property
    def received(self) -> list[str]:
        """The parts that are not text."""
        parts = self.content if isinstance(self.content, list) else []
        return [received for part in parts if (received := part.received)]

    @property
    def is_question(self) -> bool:
        """Whether a person wrote it."""
        return self.role == "user" and not self.text.startswith((RESULT_IMAGES, RESULT_FILES))


class _ToolFunction(BaseModel):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _ToolFacts(BaseModel):
    """What Holdfast tells the scripted model about a tool, and no other model; see `models.request`."""

    read_only: bool = False


class _Tool(BaseModel):
    function: _ToolFunction
    holdfast: _ToolFacts = _ToolFacts()

    def offer(self) -> OfferedTool:
        function = self.function
        return OfferedTool(
            function.name, function.description or "", function.parameters or {}, self.holdfast.read_only
        )


class _Schema(BaseModel):
    schema_: dict[str, Any] = Field(default={}, alias="schema")


class _Form(BaseModel):
    """The form that the answer must have."""

    json_schema: _Schema | None = None


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Conversation(BaseModel):
    """The parts of a request that the rules use."""

    messages: list[_Message] = Field(min_length=1)
    tools: list[_Tool] | None = None
    response_format: _Form | None = None

    @property
    def schema_of_answer(self) -> dict[str, Any] | None:
        """The JSON schema that the answer must match; `None` means text."""
        form = self.response_format.json_schema if self.response_format else None
        return form.schema_ if form else None

    @property
    def offered(self) -> list[OfferedTool]:
        """The tools."""
        return [tool.offer() for tool in self.tools or []]

    @property
    def prompt(self) -> str:
        """The system prompt; empty if there is none."""
        first = self.messages[0]
        return first.text if first.role == "system" else ""

    def person(self) -> persona.Person:
        """The conversation, as the person that is played has heard it."""
        heard = [message.text for message in self.messages if message.role == "user"]
        return persona.Person(
            self.prompt, heard, [message.text for message in self.messages if message.role == "assistant"]
        )

    def research(self) -> Research:
        """The newest question, and the tool calls since."""
        asked = max((place for place, message in enumerate(self.messages) if message.is_question), default=-1)
        question = self.messages[asked].text.strip() if asked >= 0 else ""
        since = self.messages[asked + 1 :]
        results = {message.tool_call_id: message.text for message in since if message.role == "tool"}
        calls = [call for message in since for call in message.tool_calls or []]
        return Research(question, [_use(call, results.get(call.id, "error: no result")) for call in calls])


def _use(call: _Call, result: str) -> ToolUse:
    try:
        arguments: dict[str, Any] = _Arguments.model_validate_json(call.function.arguments).model_dump()
    except ValidationError:
        arguments = {}
    return ToolUse(call.function.name, arguments, result)


def respond(request: ChatRequest) -> ChatReply:
    """Returns the reply to a request.

    Raises:
        BadRequest: the request is malformed.
    """
    try:
        conversation = _Conversation.model_validate(request.body)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    research = conversation.research()
    offered = conversation.offered
    names = {tool.name for tool in offered}
    if persona.plays_person(conversation.prompt):
        reply = conversation.person().next_reply()
    elif names >= frontend.TOOLS:
        reply = frontend.Development(research.question, research.uses).next_reply()
    elif names >= coder.TOOLS:
        reply = coder.Coding(research.question, research.uses).next_reply()
    elif names >= assistant.TOOLS:
        reply = assistant.Assistance(research.question, research.uses).next_reply()
    elif names >= TOOLS:
        reply = research.next_reply()
    else:
        reply = Toolbox(research.question, offered, research.uses).next_reply()
    received = [part for message in conversation.messages for part in message.received]
    if received and not reply.tool_calls:
        said = f"I received {', '.join(received)}. I am a {SCRIPTED_MARK}: I cannot look into it."
        reply = replace(reply, text=f"{said}\n\n{reply.text}")
    schema = conversation.schema_of_answer
    if schema is not None and not reply.tool_calls:
        reply = replace(reply, text=_filled_in(research.question, schema))
    return replace(reply, model=SCRIPTED_MODEL)


def _filled_in(question: str, schema: dict[str, Any]) -> str:
    """Returns JSON that matches a schema, filled in with what a question names."""
    nothing: frozenset[str] = frozenset()
    [found] = guess_calls(question, schema, named=nothing, described=nothing, several=False)
    return json.dumps(found, ensure_ascii=False)


def answering(latency: float) -> Answer:
    """Returns the server's answer function.

    Args:
        latency: seconds before each reply; 0 also streams without delays.
    """

    async def answer(request: ChatRequest, send: Send) -> None:
        reply = respond(request)
        pause = STREAMING_TIME / (len(text_pieces(reply.text)) + 1) if latency else 0.0
        # Only text is streamed slowly; replies that call tools are sent at once.
        paced = replace(reply, delay=latency, piece_delay=0.0 if reply.tool_calls else pause)
        await send_reply(request, paced, send)

    return answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server until it is stopped, and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m holdfast.scripted.model", description=f"Runs a chat server with a {SCRIPTED_MARK}."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, picks a free one")
    parser.add_argument(
        "--latency", type=float, default=LATENCY, help="seconds before each reply (default %(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        sock = listen(options.host, options.port)
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror or error}", file=sys.stderr)
        return 1
    host, port = sock.getsockname()[:2]
    print(f"{SCRIPTED_MARK}: http://{host}:{port}/v1", flush=True)
    chat_server(chat_app(answering(options.latency), models=[SCRIPTED_MODEL, HASHING_MODEL])).run(sockets=[sock])
    return 0


if __name__ == "__main__":
    sys.exit(main())
