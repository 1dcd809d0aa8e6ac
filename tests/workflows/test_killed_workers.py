"""`kill_at`: the shipped fixture that ends a worker in the middle of a call."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from holdfast import Agent, Holdfast, tool
from holdfast.errors import UsageError
from holdfast.testing.bench import open_bench
from holdfast.testing.calls import Called
from holdfast.testing.killed_worker import Moment
from holdfast.testing.session_stack import SessionStack


class Shop:
    """An agent whose tools count how often they ran, on a bench of its own."""

    def __init__(self) -> None:
        self.ran: list[str] = []

        @tool
        def order(article: str) -> str:
            """Orders."""
            self.ran.append(f"order {article}")
            return f"ordered {article}"

        @tool(read_only=True)
        async def look(article: str) -> str:
            """Looks."""
            self.ran.append(f"look {article}")
            return "12"

        self.agent = Agent(name="clerk", system_prompt="You order.", tools=[order, look])


async def test_a_killed_worker_does_nothing_twice(stack: SessionStack, tmp_path: Path) -> None:
    """Killed before, during and after a call, a worker is replaced, and a call that must not be repeated is not."""
    points: dict[tuple[str, Moment], tuple[list[str], str]] = {
        ("tool.order", "before"): (["order rope"], "ordered rope"),
        ("tool.order", "during"): (["order rope"], "it is unknown whether the call took effect"),
        ("tool.order", "after"): (["order rope"], "ordered rope"),
        ("tool.look", "during"): (["look rope", "look rope"], "12"),
    }
    with ExitStack() as benches:
        shops = [Shop() for _ in points]
        runs, ends = [], []
        for shop, (activity, moment) in zip(shops, points, strict=True):
            bench = benches.enter_context(open_bench(tmp_path / f"{activity}-{moment}"))
            server = bench.server(stack)
            server.kill_at(activity, moment)
            await asyncio.to_thread(server, shop.agent)
            bench.model.call_tools((activity.removeprefix("tool."), {"article": "rope"}))
            bench.model.say("Done.")
            runs.append(bench.connected(stack).run("clerk", "Do it."))
            ends.append((server, bench.model))
        results = await asyncio.gather(*runs)
        for shop, expected, result, (server, model) in zip(shops, points.values(), results, ends, strict=True):
            ran, told = expected
            assert result.content == "Done."
            assert shop.ran == ran
            [call] = Called(server.calls).all(result)
            assert told in str(call.result)
            server.assert_killed()
            model.assert_complete()


def test_the_code_of_a_program_is_killed_too(stack: SessionStack, tmp_path: Path) -> None:
    """The moments are reached as well in calls that the program serves which has called `Agent.run`."""
    with open_bench(tmp_path) as bench:
        server = bench.server(stack)
        server()
        server.kill_at("tool.order", "after")
        server.kill_at("tool.look", "during")
        shop = Shop()
        bench.model.call_tools(("order", {"article": "rope"}))
        bench.model.call_tools(("look", {"article": "rope"}))
        bench.model.say("Done.")
        result = asyncio.run(shop.agent.run("Do it."))
        assert result.content == "Done."
        assert shop.ran == ["order rope", "look rope", "look rope"]
        assert [call.result for call in server.calls(result.run_id)] == ["ordered rope", "12"]
        server.assert_killed()
        bench.model.assert_complete()


def test_a_moment_that_is_not_reached_fails(stack: SessionStack, tmp_path: Path) -> None:
    """A kill that does not happen fails the test and says what happened; one that cannot happen is refused at once."""
    with open_bench(tmp_path) as bench:
        hf: Holdfast = bench.connected(stack)
        server = bench.server(stack)
        server(Shop().agent)
        with pytest.raises(UsageError, match="the moments are 'before', 'during', 'after'"):
            server.kill_at("tool.order", "later")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"as 'tool\.order', or 'model\.call'"):
            server.kill_at("order", "after")
        server.kill_at("tool.sell", "after")
        bench.model.say("Hello.")
        asyncio.run(hf.run("clerk", "Hello"))
        with pytest.raises(AssertionError, match=r"kill_at\('tool\.sell', 'after'\) was not reached; .*: model\.call"):
            server.assert_killed()
