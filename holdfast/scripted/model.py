"""The scripted model: a server that answers by fixed rules, so that agents run without a model.

With the four file tools it researches a question (see `researcher`). If it can run commands as well, it writes and runs
what a task quotes (see `coder`). Other tools it calls by plain rules (see `toolbox`). If none fits, it repeats the
question and says that it is a script. An answer that must match a JSON schema is filled in with words and numbers of
the question. It has no state: a reply depends only on the request. Token counts are estimates, at four characters per
token. Embeddings are computed by feature hashing.

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

from holdfast.models import SCRIPTED_MARK, SCRIPTED_MODEL
from holdfast.scripted import assistant, coder
from holdfast.scripted.chat import ChatReply, ChatRequest, text_pieces
from holdfast.scripted.guesses import guess_calls
from holdfast.scripted.hashing import HASHING_MODEL
from holdfast.scripted.researcher import TOOLS, Research
from holdfast.scripted.server import Answer, BadRequest, chat_app, chat_server, listen, send_reply
from holdfast.scripted.tool_use import ToolUse
from holdfast.scripted.toolbox import OfferedTool, Toolbox

LATENCY = 0.02  # seconds before each reply: enough to follow the turns of a demo
STREAMING_TIME = 0.05  # seconds over which a text of any length is streamed


class _Part(BaseModel):
    text: str = ""


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
            return "\n".join(part.text for part in self.content)
        return self.content or ""


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

    def research(self) -> Research:
        """The newest question, and the tool calls since."""
        roles = [message.role for message in self.messages]
        asked = len(roles) - 1 - roles[::-1].index("user") if "user" in roles else -1
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
    if names >= coder.TOOLS:
        reply = coder.Coding(research.question, research.uses).next_reply()
    elif names >= assistant.TOOLS:
        reply = assistant.Assistance(research.question, research.uses).next_reply()
    elif names >= TOOLS:
        reply = research.next_reply()
    else:
        reply = Toolbox(research.question, offered, research.uses).next_reply()
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
