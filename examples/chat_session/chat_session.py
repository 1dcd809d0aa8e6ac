"""A conversation that outlives the program."""

import asyncio
import sys

from holdfast import Agent

guide = Agent(name="guide", system_prompt="You guide visitors through a harbour. You remember what they told you.")


async def main(session: str) -> None:
    """Reads messages from standard input and prints the answers."""
    for message in sys.stdin:
        if message.strip():
            print((await guide.chat(message.strip(), id=session)).reply)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "harbour-tour"))
