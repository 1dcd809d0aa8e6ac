"""An agent that opens a pool of connections once, and shares it among its calls and runs."""

import asyncio
import sqlite3
from typing import Self

from holdfast import Agent, tool

CONNECTIONS = 2
TABLE = "CREATE TABLE stock AS SELECT 'rope' AS article, 12 AS pieces UNION SELECT 'anchor', 3"


class StockDatabase(Agent):
    """Answers from a database."""

    name = "stock database"
    system_prompt = "You answer questions about the stock."

    def __init__(self) -> None:
        """Opens nothing yet."""
        super().__init__()
        self.opened = 0

    async def __aenter__(self) -> Self:
        """Opens the pool, before the first call in this process."""
        self.opened += 1
        self.pool: asyncio.Queue[sqlite3.Connection] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.execute(TABLE)
            self.pool.put_nowait(connection)
        return self

    async def __aexit__(self, *error: object) -> None:
        """Closes the pool, when the process no longer serves the agent."""
        while not self.pool.empty():
            self.pool.get_nowait().close()

    @tool(read_only=True)
    async def pieces(self, article: str) -> int:
        """Returns how many pieces of an article are in stock."""
        connection = await self.pool.get()
        try:
            row = connection.execute("SELECT pieces FROM stock WHERE article = ?", (article,)).fetchone()
        finally:
            self.pool.put_nowait(connection)
        return row[0] if row else 0


database = StockDatabase()


async def main() -> None:
    """Asks twice at once; both runs share the pool."""
    questions = ['How many pieces of "rope" are there?', 'How many pieces of "anchor" are there?']
    for result in await asyncio.gather(*map(database.run, questions)):
        print(result.content)


if __name__ == "__main__":
    asyncio.run(main())
