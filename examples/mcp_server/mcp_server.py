"""An agent with the tools of an MCP server, one of which asks a person."""

import asyncio
import sys
from pathlib import Path

from holdfast import Agent, MCPServer

library = MCPServer(
    "library",
    command=sys.executable,
    args=[str(Path(__file__).with_name("library_server.py"))],
    trust_annotations=True,
)
librarian = Agent(name="librarian", system_prompt="You look after the books.", mcp=[library])


async def main() -> None:
    """Lends a book, and asks you for how long."""
    run = await librarian.start('Please lend "Dune".')
    async for event in run.events():
        if event.kind == "wait":
            print(event.data["wait"]["data"]["question"])
            await run.answer(event.data["wait"]["id"], await asyncio.to_thread(input, "> "))
    print((await run.result()).content)


if __name__ == "__main__":
    asyncio.run(main())
