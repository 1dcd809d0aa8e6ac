"""Tools of MCP servers in runs: real servers in processes of their own, over standard streams and over HTTP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, MCPServer, RunHandle, ToolRequest
from holdfast.errors import CommandRefused
from holdfast.progress import Wait
from holdfast.tools.mcp.servers import close_servers
from holdfast.types import Entry
from tests.support.lab import Lab, eventually
from tests.support.mcp_shops import TOKEN, Shop
from tests.support.surreal_server import free_port


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The server, which is started when it is first needed."""
    (tmp_path / "shop").mkdir()
    found = Shop(tmp_path / "shop")
    yield found
    close_servers()
    found.assert_gone()


def results(entries: list[Entry]) -> dict[str, tuple[str, str | None]]:
    """Text and outcome by the tool."""
    return {
        entry.data["tool"]: (entry.data["message"]["content"], entry.data.get("outcome"))
        for entry in entries
        if entry.kind == "tool_result"
    }


async def waits_of(run: RunHandle, kind: str) -> list[Wait]:
    """Waits until the run waits for something of this kind."""
    found: list[Wait] = []

    async def waits() -> bool:
        found[:] = [wait for wait in (await run.status()).waits_for if wait.kind == kind]
        return bool(found)

    await eventually(waits)
    return found


async def written(shop: Shop, name: str, count: int = 1) -> None:
    """Waits until the server has written this much down."""
    await asyncio.to_thread(shop.wait_for, name, count)


async def test_a_server_is_used_like_other_tools(lab: Lab, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model sees the tools of the server and reads all that they return; what a person must approve waits; nothing
    of how the server is reached is in the run, and neither is its environment in that of the server.
    """
    monkeypatch.setenv("SHOP_TOKEN", "open-sesame")
    monkeypatch.setenv("OTHER_SECRET", "not for servers")
    server = shop.server(env={"TOKEN": "${SHOP_TOKEN}"})
    seen: list[object] = []

    async def wrap(request: ToolRequest, handler: Callable[[ToolRequest], Awaitable[object]]) -> object:
        seen.append((request.tool, request.arguments))
        return await handler(request)

    agent = Agent(name="clerk", mcp=[server], approvals={"shop__stock": "always"}, wrap_tool_call=wrap)
    dotted = "shop__dotted_name_with_a_space_9059dc3b"
    called = ["shop__fails", "shop__everything", dotted, "shop__environment", "shop__nothing"]
    lab.server.call_tools(("shop__stock", {"article": "rope"}), *((name, {}) for name in called))
    lab.server.say("Twelve.")
    async with lab.worker(agent):
        run = await lab.holdfast.start("clerk", "How many?")
        [wait] = await waits_of(run, "approval")
        await run.approve(wait.id)
        assert (await run.result()).output == "Twelve."
        entries = await lab.entries(run.id)
    found = results(entries)
    assert found["shop__stock"] == ("12", None)
    assert found["shop__fails"][0] == "error: Error executing tool fails"
    shown = "words\n\n[image, image/png, 70 bytes]\n\n[image, image/png, 5 bytes: it cannot be shown here]\n\n"
    assert found["shop__everything"][0].startswith(f"{shown}[resource memo://a, text/plain]\na memo")
    assert "[resource memo://b, image/gif, 5 bytes" in found["shop__everything"][0]
    assert found[dotted][0] == "dotted"
    assert "open-sesame" in found["shop__environment"][0]
    assert "not for servers" not in found["shop__environment"][0]
    assert "shop__nothing" in found["shop__nothing"][0]
    spec = entries[0].data["agent"]
    assert {"shop__stock", dotted} < {tool["name"] for tool in spec["tools"]}
    assert not any(tool["read_only"] or tool["idempotent"] for tool in spec["tools"])
    assert str(shop.folder) not in str(spec)
    offered = {each["function"]["name"]: each["function"] for each in lab.server.requests[0].body["tools"]}
    assert offered["shop__stock"]["description"] == "Pieces in stock."
    assert offered["shop__stock"]["parameters"]["required"] == ["article"]
    assert ("shop__stock", {"article": "rope"}) in seen
    assert shop.notes("looked") == ["rope"]
    assert len(shop.notes("started")) == 1


async def test_mcp_stdio_killed_restarts(lab: Lab, shop: Shop) -> None:
    """A server that is killed during calls is started again: a trusted read-only call is repeated, another one is lost
    as with its worker, and is not repeated.
    """
    agent = Agent(name="clerk", mcp=[shop.server(trust_annotations=True)])
    lab.server.call_tools(("shop__pay", {"amount": 5}), ("shop__wait", {"name": "parcel"}))
    lab.server.call_tools(("shop__stock", {"article": "rope"}))
    lab.server.say("Done.")
    async with lab.worker(agent):
        run = await lab.holdfast.start("clerk", "Pay, and wait.")
        await asyncio.gather(written(shop, "paid"), written(shop, "waits"))
        (shop.folder / "new_list").touch()
        await asyncio.to_thread(shop.kill)
        await written(shop, "waits", 2)
        (shop.folder / "parcel").touch()
        await run.result()
        found = results(await lab.entries(run.id))
        lab.server.say("Done.")
        await lab.holdfast.run("clerk", "Again.")
    assert found["shop__pay"][1] == "unknown"
    assert found["shop__wait"] == ("parcel came", None)
    assert "no longer has this tool" in found["shop__stock"][0]
    offered = [{tool["function"]["name"] for tool in request.body["tools"]} for request in lab.server.requests]
    assert "shop__stock" in offered[-2]
    assert "shop__stock" not in offered[-1]
    assert shop.notes("paid") == ["5"]
    assert len(shop.notes("started")) == 2


async def test_a_cancel_reaches_the_server(lab: Lab, shop: Shop) -> None:
    """A run that is cancelled ends the call in the server, and other calls of the server continue."""
    agent = Agent(name="clerk", mcp=[shop.server()])
    async with lab.worker(agent):
        lab.server.call_tools(("shop__wait", {"name": "never"}))
        run = await lab.holdfast.start("clerk", "Wait.")
        await written(shop, "waits")
        lab.server.call_tools(("shop__wait", {"name": "parcel"}))
        other = await lab.holdfast.start("clerk", "Wait.")
        await written(shop, "waits", 2)
        await run.cancel()
        await written(shop, "cancelled")
        lab.server.say("Done.")
        (shop.folder / "parcel").touch()
        assert (await other.result()).output == "Done."
    assert shop.notes("cancelled") == ["never"]
    assert len(shop.notes("started")) == 1


async def test_mcp_http(lab: Lab, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server over HTTP gets a secret of the environment, which no run has; it may be restarted between calls, and a
    call in which it is lost is not repeated.
    """
    port = free_port()
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    server = MCPServer(
        "shop", url=f"http://127.0.0.1:{port}/mcp", headers={"Authorization": "Bearer ${SHOP_TOKEN}"}, protocol="legacy"
    )
    agent = Agent(name="clerk", mcp=[server])
    lab.server.call_tools(("shop__stock", {"article": "rope"}))
    lab.server.call_tools(("shop__pay", {"amount": 5}))
    lab.server.call_tools(("shop__stock", {"article": "rope"}))
    lab.server.say("Done.")
    async with lab.worker(agent):
        with shop.over_http(port) as first:
            run = await lab.holdfast.start("clerk", "Pay.")
            await written(shop, "paid")
            first.kill()
        with shop.over_http(port):
            await run.result()
        entries = await lab.entries(run.id)
    found = [entry.data for entry in entries if entry.kind == "tool_result"]
    assert [(each["message"]["content"], each.get("outcome")) for each in found][::2] == [("12", None), ("12", None)]
    assert found[1]["outcome"] == "unknown"
    assert set(shop.notes("authorizations")) == {f"Bearer {TOKEN}"}
    assert TOKEN not in str([entry.data for entry in entries])


@pytest.mark.parametrize(
    ("protocol", "call", "answer", "done"),
    [
        ("auto", ("order", {"article": "rope"}), "yes", "ordered rope"),
        ("legacy", ("book", {"name": "Ada"}), '{"day": "Monday", "people": 3}', "booked Monday for 3"),
    ],
    ids=["between calls", "in the middle of a call"],
)
async def test_mcp_question_waits_durably(
    lab: Lab, shop: Shop, *, protocol: Any, call: tuple[str, dict[str, str]], answer: str, done: str
) -> None:
    """A question of a server is in the inbox, takes only answers that the server accepts, and outlives the worker and
    the server: the call is made again, the answer is given, and the tool acts once.
    """
    server = shop.server(protocol=protocol, trust_annotations=True)
    lab.server.call_tools((f"shop__{call[0]}", call[1]))
    lab.server.say("Done.")
    async with lab.worker(Agent(name="clerk", mcp=[server])):
        run = await lab.holdfast.start("clerk", "Go.")
        [wait] = await waits_of(run, "question")
        assert wait.data["question"].startswith("shop asks: ")
        with pytest.raises(CommandRefused, match=r"does not accept|must be a JSON object"):
            await run.answer(wait.id, "maybe")
    await asyncio.to_thread(close_servers)
    shop.assert_gone()
    async with lab.worker(Agent(name="clerk", mcp=[server])):
        await run.answer(wait.id, answer, by="Eve")
        assert (await run.result()).output == "Done."
        entries = await lab.entries(run.id)
    assert results(entries)[f"shop__{call[0]}"] == (done, None)
    assert len(shop.notes("ordered") + shop.notes("booked")) == 1
    assert len(shop.notes("started")) == 2
    [ended] = [entry.data for entry in entries if entry.kind == "wait_ended"]
    assert (ended["outcome"], ended["by"]) == ("answered", "Eve")


async def test_a_call_that_the_server_keeps_open_continues_there(lab: Lab, shop: Shop) -> None:
    """A call that must not be repeated waits in the server for its answer; if the server is lost, nobody knows what the
    call did. A refusal reaches the tool.
    """
    agent = Agent(name="clerk", mcp=[shop.server(protocol="legacy")])
    lab.server.call_tools(*(("shop__book", {"name": name}) for name in ("Ada", "Bo", "Cy")))
    lab.server.say("Done.")
    async with lab.worker(agent):
        run = await lab.holdfast.start("clerk", "Go.")

        async def all_ask() -> bool:
            return len((await run.status()).waits_for) == 3

        await eventually(all_ask)
        by_name = {str(wait.data["question"]).split()[4]: wait for wait in (await run.status()).waits_for}
        await run.answer(by_name["Ada"].id, '{"day": "Monday"}')
        await written(shop, "booked")
        await run.answer(by_name["Bo"].id, "decline")

        async def only_cy() -> bool:
            return len([entry async for entry in run.entries() if entry.kind == "tool_result"]) == 2

        await eventually(only_cy)
        await asyncio.to_thread(shop.kill)
        await run.answer(by_name["Cy"].id, '{"day": "Monday"}')
        await run.result()
        entries = await lab.entries(run.id)
    found = [entry.data for entry in entries if entry.kind == "tool_result"]
    assert sorted(str(each["message"]["content"]) for each in found if not each.get("outcome")) == [
        "booked Monday for 2",
        "decline: Bo does not come",
    ]
    assert [each["outcome"] for each in found if each.get("outcome")] == ["unknown"]
    assert sorted(shop.notes("asked")) == ["Ada", "Bo", "Cy"]


async def test_a_run_says_which_server_it_waits_for(lab: Lab, tmp_path: Path) -> None:
    """A run whose server cannot start waits for it, and says what the server wrote."""
    program = tmp_path / "server.py"
    program.write_text("import sys; sys.exit('no key for the vault')")
    agent = Agent(name="clerk", mcp=[MCPServer("vault", command=sys.executable, args=[str(program)])])
    async with lab.worker(agent):
        run = await lab.holdfast.start("clerk", "Go.")

        async def says() -> bool:
            return "no key for the vault" in (await run.status()).doing

        await eventually(says)
        assert "waiting for an MCP server of agent 'clerk'" in (await run.status()).doing
        await run.cancel()
        assert (await run.result()).status == "cancelled"
    close_servers()
