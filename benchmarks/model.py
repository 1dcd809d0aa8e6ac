"""The model server of the benchmark, a process of its own: `python -m benchmarks.model`.

It speaks the format of the shipped servers, but parses no request and keeps none, so that it is not what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import replace

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.script import Script, turn_of
from holdfast.scripted.chat import ChatReply, ChatRequest, ChatToolCall, StreamChunks
from holdfast.scripted.server import chat_server, listen
from holdfast.types import Usage

_ASKED = {"model": "bench", "messages": [], "stream": True, "stream_options": {"include_usage": True}}
_USAGE = Usage(requests=1, input_tokens=1000, output_tokens=20)


SUMMARY = b"You write the summary"
"""Begins the request for a summary of a long conversation."""


class ScriptedModel:
    """Plays the scripts that its requests contain, and records when each request arrived."""

    def __init__(self) -> None:
        self._arrivals: defaultdict[str, list[dict[str, float]]] = defaultdict(list)

    async def complete(self, request: Request) -> Response:
        """Responds to a request for a chat completion."""
        body = await request.body()
        if SUMMARY in body:  # of the middle of a conversation, which need not quote its script
            return _streamed(ChatReply("Pages were looked up; nothing else happened.", usage=_measured(body)), body)
        script, turn = Script.find(body), turn_of(body)
        if script.counted:
            return self._counted(script, body)
        self._arrivals[script.run].append({"turn": turn, "at": time.time(), "bytes": len(body)})
        if script.latency:
            await asyncio.sleep(script.latency)
        return _streamed(reply(script, turn), body)

    def _counted(self, script: Script, body: bytes) -> Response:
        turn = len(self._arrivals[script.run]) + 1
        self._arrivals[script.run].append({"turn": turn, "at": time.time(), "bytes": len(body)})
        return _streamed(replace(reply(script, turn), usage=_measured(body)), body)

    async def arrivals(self, request: Request) -> Response:
        """Returns the requests of a run so far."""
        return JSONResponse(self._arrivals[request.path_params["run"]])

    def app(self) -> Starlette:
        """Returns the web application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.complete, methods=["POST"]),
                Route("/arrivals/{run:path}", self.arrivals),
            ]
        )


def reply(script: Script, turn: int) -> ChatReply:
    """Returns the model's reply in a turn of the script."""
    if turn >= script.turns:
        return ChatReply("That is enough.", usage=_USAGE)
    names = [f"{turn}-{number}" for number in range(script.calls)]
    calls = [ChatToolCall(script.tool, {"key": name}, id=f"call_{name}") for name in names]
    return ChatReply(tool_calls=calls, usage=_USAGE)


def _measured(body: bytes) -> Usage:
    return Usage(requests=1, input_tokens=len(body) // 4, output_tokens=20)


def _streamed(answer: ChatReply, body: bytes) -> Response:
    chunks = StreamChunks.of(ChatRequest(_ASKED, len(body), {}), answer)
    return Response(b"".join(chunks), media_type="text/event-stream")


def main() -> None:
    """Serves until it is stopped; its first line is the address."""
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    chat_server(ScriptedModel().app()).run(sockets=[listener])


if __name__ == "__main__":
    main()
