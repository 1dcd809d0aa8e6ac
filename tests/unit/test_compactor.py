"""The call of the model that compacts a context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from holdfast.activities.compactor import compact
from holdfast.errors import ContextOverflow, ModelError, ModelRefused, ModelUnavailable
from holdfast.messages import CompactionOrder
from holdfast.model_reply import ModelReply
from holdfast.types import AgentSpec, Context, Message, ToolCall, Usage

ORDER = CompactionOrder(tokens=10_000, window=10_000)


def talk(count: int = 20) -> Context:
    """A context whose old replies are too long to stay."""
    messages = [Message(seq=0, role="system"), Message(seq=1, role="user", content="go")]
    messages += [Message(seq=2 + number, role="assistant", content="a thought " * 200) for number in range(count)]
    return Context(spec=AgentSpec(name="tested", model="m"), messages=messages)


def reply(text: str = "in short") -> ModelReply:
    calls = [ToolCall(id="c", name="look")]
    return ModelReply(
        content=text, tool_calls=calls, model="m-1", finish_reason="stop", usage=Usage(requests=1), seconds=0.1
    )


class Model:
    """A model that answers as the test decides."""

    def __init__(self, *answers: Callable[[], ModelReply]) -> None:
        self.answers = list(answers)
        self.requests: list[Context] = []

    async def complete(self, request: Context) -> ModelReply:
        self.requests.append(request)
        return self.answers.pop(0)()


def failing(error: ModelError) -> Callable[[], ModelReply]:
    def fail() -> ModelReply:
        raise error

    return fail


def compacted(model: Model, context: Context | None = None) -> ModelReply:
    return asyncio.run(compact(context or talk(), ORDER, model.complete))


def test_the_reply_is_the_summary() -> None:
    """The reply has the summary and what it stands for, and no calls of tools."""
    done = compacted(Model(reply))
    assert done.content == "in short"
    assert done.tool_calls == []
    assert done.compaction is not None
    assert done.compaction.summarized == [[2, 16]]
    assert done.compaction.error is None
    assert done.compaction.tokens_after < 4_000


def test_if_clearing_is_enough_no_model_is_called() -> None:
    """Clearing results costs nothing."""
    model = Model()
    context = talk(0)
    for seq in range(2, 40, 2):
        call = ToolCall(id=f"c{seq}", name="look")
        context.messages.append(Message(seq=seq, role="assistant", tool_calls=[call]))
        context.messages.append(Message(seq=seq + 1, role="tool", content="x" * 2_000, tool_call_id=call.id))
    done = compacted(model, context)
    assert (done.content, done.usage) == ("", Usage())
    assert done.compaction is not None
    assert done.compaction.cleared
    assert done.compaction.summarized == []
    assert model.requests == []


def test_a_text_that_the_model_refuses_as_too_large_is_shortened() -> None:
    """The request is made smaller until the model takes it."""
    model = Model(failing(ContextOverflow("too large")), failing(ContextOverflow("too large")), reply)
    done = compacted(model)
    assert done.content == "in short"
    sizes = [len(request.messages[-1].content) for request in model.requests]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([failing(ContextOverflow("too large"))] * 3, "the part to summarize is too large for the model: too large"),
        ([failing(ModelRefused("no such model"))], "the model makes no summary: no such model"),
        ([lambda: reply(" \n")], r"the model's summary is empty \(finish_reason stop\)"),
    ],
)
def test_without_a_summary_nothing_is_lost(answers: list[Callable[[], ModelReply]], reason: str) -> None:
    """If no summary can be made, no message is replaced, and the reply says why."""
    done = compacted(Model(*answers))
    assert done.content == ""
    assert done.compaction is not None
    assert done.compaction.summarized == []
    assert done.compaction.error is not None
    assert done.compaction.error == reason.replace("\\", "")


def test_an_unavailable_model_is_retried() -> None:
    """An error that is temporary is left to the retries of the call."""
    with pytest.raises(ModelUnavailable):
        compacted(Model(failing(ModelUnavailable("busy"))))
