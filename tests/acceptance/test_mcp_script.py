"""A program that is killed while a tool of its MCP server asks a person."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli_stack import CliStack
from tests.support.mcp_shops import PROGRAM, Shop
from tests.support.scripts import Scripts

CLERK = """
    import asyncio, os, sys
    from holdfast import Agent, MCPServer

    os.environ["SHOP_KEY"] = "open-sesame"
    shop = MCPServer(
        "shop", command=sys.executable, args=["PROGRAM", "FOLDER", "stdio"], env={"KEY": "${SHOP_KEY}"}, tools=["order"]
    )
    clerk = Agent(name="mcp-clerk", mcp=[shop])

    async def main():
        print((await clerk.run('Please order "rope".', id="mcp-1")).content)

    asyncio.run(main())
"""


def test_a_killed_program_leaves_no_server_and_goes_on_with_the_answer(cli: CliStack, tmp_path: Path) -> None:
    """Kill -9 of the program ends its server and all that this has started. The question stays in the inbox; started
    again, the program continues the call with the answer, and the server acts once.
    """
    shop, scripts = Shop(tmp_path / "shop"), Scripts(cli, tmp_path)
    shop.folder.mkdir()
    (shop.folder / "family").touch()
    file = scripts.write(CLERK, PROGRAM=str(PROGRAM), FOLDER=str(shop.folder))
    with scripts.start(file) as process:
        try:
            while not (asked := [each for each in cli("inbox", "--json").json if each["run_id"] == "mcp-1"]):
                assert process.poll() is None, process.communicate()
        finally:
            process.kill()
    assert len(shop.notes("started")) == 2
    shop.assert_gone()
    [wait] = [each["wait"] for each in asked]
    assert wait["data"]["question"].startswith("shop asks: Order rope?")
    refused = cli("answer", "mcp-1", wait["id"], "perhaps")
    assert refused.code != 0
    assert "must be boolean" in refused.err
    assert cli("answer", "mcp-1", wait["id"], "yes").code == 0
    again = scripts.run(file, "-X", "dev")
    assert "ordered rope" in again.out
    assert [line for line in again.err.splitlines() if not line.startswith("holdfast: ")] == []
    assert shop.notes("ordered") == ["rope"]
    shop.assert_gone()
    assert "open-sesame" not in cli("export", "mcp-1").out
