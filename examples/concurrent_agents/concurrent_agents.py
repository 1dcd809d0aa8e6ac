"""Several agents at once, and one after the other."""

import asyncio
import time

from holdfast import Agent, AgentResult, run_agents_concurrently, tool

PAUSE = 0.5  # seconds that a lookup takes


@tool(read_only=True)
async def look_up(topic: str) -> str:
    """Looks a topic up in a slow library."""
    await asyncio.sleep(PAUSE)
    return f"what the library says about {topic}"


readers = [Agent(name=f"reader {number}", system_prompt="You look things up.", tools=[look_up]) for number in range(4)]


async def at_once() -> list[AgentResult]:
    """Asks all readers at the same time; the results are in the order of the readers."""
    return await run_agents_concurrently(readers, 'What is known about "knots"?')


async def one_by_one() -> list[AgentResult]:
    """Asks one reader after the other."""
    return [await reader.run('What is known about "knots"?') for reader in readers]


async def main() -> None:
    """Compares both."""
    await readers[0].run('What is known about "warming up"?')
    for ask in (one_by_one, at_once):
        started = time.monotonic()
        results = await ask()
        print(
            f"{ask.__name__}: {sum(result.success for result in results)} answers, {time.monotonic() - started:.1f} s"
        )


if __name__ == "__main__":
    asyncio.run(main())
