"""The baseline: the minimum that a hand-written agent on Temporal does in a turn.

A turn consists of two activities, a model call and a tool call, and the transcript is outside of history. There is no
mirror, query, status, limit or heartbeat, and transcripts are lost with the process.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow

from benchmarks.agents import NAP, bench, page
from holdfast.model_reply import ModelReply
from holdfast.ports import ChatModel
from holdfast.types import Data, Message, ToolCall

TIMEOUT = timedelta(minutes=5)  # long, as nothing is expected to fail


class BareTurn(Data):
    """A model call; the transcript stays with the activities."""

    run: str
    input: str


class BareToolCall(Data):
    """A tool call."""

    run: str
    call: ToolCall


@workflow.defn(name="Bare")
class Bare:
    """Calls the model and its tools until the model answers."""

    @workflow.run
    async def run(self, text: str) -> str:
        """Returns the model's answer."""
        run = workflow.info().workflow_id
        while True:
            reply: ModelReply = await workflow.execute_activity(
                "bare.model", BareTurn(run=run, input=text), result_type=ModelReply, start_to_close_timeout=TIMEOUT
            )
            if not reply.tool_calls:
                return reply.content
            calls = (
                workflow.execute_activity(
                    f"bare.{call.name}",
                    BareToolCall(run=run, call=call),
                    result_type=str,
                    start_to_close_timeout=TIMEOUT,
                )
                for call in reply.tool_calls
            )
            await asyncio.gather(*calls)


class BareActivities:
    """Makes the calls, through the same adapter as Holdfast's worker, and keeps the transcripts."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._spec = bench.spec()
        self._transcripts: dict[str, list[Message]] = {}

    @activity.defn(name="bare.model")
    async def model(self, turn: BareTurn) -> ModelReply:
        """Calls the model with the whole transcript."""
        transcript = self._transcripts.setdefault(turn.run, [])
        if not transcript:
            transcript.append(Message(seq=0, role="system", content=self._spec.system_prompt))
            transcript.append(Message(seq=1, role="user", content=turn.input))
        reply = await self._model.complete(self._spec, transcript, on_text=_ignore)
        transcript.append(
            Message(seq=len(transcript), role="assistant", content=reply.content, tool_calls=reply.tool_calls)
        )
        return reply

    @activity.defn(name="bare.lookup")
    async def lookup(self, asked: BareToolCall) -> str:
        """Looks up a page."""
        return self._record(asked, page(asked.call.arguments))

    @activity.defn(name="bare.nap")
    async def nap(self, asked: BareToolCall) -> str:
        """Sleeps as long as the tool of the same name."""
        await asyncio.sleep(NAP)
        return self._record(asked, asked.call.arguments)

    def _record(self, asked: BareToolCall, text: str) -> str:
        transcript = self._transcripts[asked.run]
        transcript.append(Message(seq=len(transcript), role="tool", content=text, tool_call_id=asked.call.id))
        return text


def _ignore(_piece: str) -> None:
    pass
