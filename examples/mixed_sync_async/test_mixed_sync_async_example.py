"""Test of the example."""

import asyncio
from collections.abc import Iterable

import pytest
from mixed_sync_async import both, main, report

from holdfast import UsageError
from holdfast.testing import AgentServer, Called, ChatRequest, ModelServer, Reply, call_tools


@pytest.fixture(autouse=True)
def shop(model: ModelServer, serve: AgentServer) -> None:
    """A model that asks both tools about the article in quotes, and then quotes them."""

    def respond(request: ChatRequest) -> Reply:
        results = [message for message in request.messages if message["role"] == "tool"]
        if results:
            return Reply(", ".join(_texts(results)))
        article = str(request.messages[-1]["content"]).split('"')[1]
        return call_tools(stock={"article": article}, price={"article": article})

    serve()
    model.respond = respond


def _texts(messages: Iterable[dict[str, object]]) -> list[str]:
    return [str(message["content"]) for message in messages]


def test_plain_code_surrounds_an_event_loop(capsys: pytest.CaptureFixture[str], called: Called) -> None:
    """The program calls plain code, an event loop with both kinds, and plain code again."""
    main()
    rope, anchor = "12, 4 euros", "3, 6 euros"
    assert capsys.readouterr().out.splitlines() == [rope, rope, anchor, anchor]
    assert len(called("stock", article="rope")) == len(called("price", article="anchor")) == 2


async def test_both_kinds_run_at_the_same_time() -> None:
    """Plain code in a thread and coroutines in the loop each get their own answers, in order."""
    assert await both() == ["12, 4 euros", "3, 6 euros"]


async def test_plain_code_refuses_to_block_an_event_loop() -> None:
    """The error says what to do instead; in a thread, the same code works."""
    with pytest.raises(UsageError, match="an event loop is running here"):
        report("rope")
    assert await asyncio.to_thread(report, "rope") == "12, 4 euros"
