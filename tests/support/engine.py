"""A store under test, and a reference store in memory that receives the same entries without faults."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.context import context_of
from holdfast.ports import Store
from holdfast.storage.database import Database, open_database
from holdfast.storage.mirror import MemoryStore, SurrealStore
from tests.support.dump import TABLES, dump, of_run
from tests.support.logs import Log
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import scaled

T = TypeVar("T")

EXAMPLES = scaled(
    {"memory": 20, "mem": 15, "surrealkv": 6, "ws": 6}, {"memory": 60, "mem": 40, "surrealkv": 15, "ws": 15}
)
"""By engine; the same ones in each session."""


@dataclass
class Engine:
    """A store under test, and a reference store in memory."""

    name: str
    store: Store
    database: Database | None
    """`None` means that the store has no rows."""
    clean: Database = field(default_factory=lambda: open_database("mem://"))
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Does something with the stores, on the loop that they live on."""
        return self._runner.run(work)

    async def ask(self, statement: str, **values: Any) -> list[Any]:
        """Runs a statement on the database; there must be one."""
        assert self.database is not None
        return await self.database.run(statement, **values)

    def always(self, strategy: st.SearchStrategy[T], check: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        """Runs a check on examples of a strategy."""

        @settings(max_examples=EXAMPLES[self.name], derandomize=True, deadline=None, database=None)
        @given(strategy)
        def holds(example: T) -> None:
            self.run(check(example))

        holds()

    async def same_as(self, log: Log) -> None:
        """Checks that the store has what one clean write of a log leaves."""
        assert await self.store.entries(log.run_id) == log.entries
        assert await self.store.messages(log.run_id) == log.messages
        assert await self.store.summary(log.run_id) == log.summary(log.head.seq)
        assert await self.store.head(log.run_id) == log.head
        assert (await self.store.context(log.run_id, log.head)) == context_of(log.entries)
        assert await self.store.differences(log.batch()) == []
        if self.database is not None:
            await SurrealStore(self.clean).append(log.batch())
            expected = of_run(await dump(self.clean), log.run_id)
            assert of_run(await dump(self.database), log.run_id) == expected

    async def clear(self) -> None:
        """Forgets all runs, and checks that nothing of them is left."""
        for store in (self.store, SurrealStore(self.clean)):
            for run in await store.runs():
                await store.delete(run.summary.run_id)
        if self.database is not None:
            assert await dump(self.database) == {table: [] for table in TABLES}

    def close(self) -> None:
        """Lets go of everything."""
        self.run(self.store.close())
        for database in (self.clean, self.database):
            if database is not None:
                self.run(database.close())
        self._runner.close()


@contextmanager
def open_engine(name: str, folder: Path) -> Iterator[Engine]:
    """Opens a separate engine, with its files in `folder`; skips the test if no server is installed."""
    with ExitStack() as stack:
        database: Database | None = None
        match name:
            case "mem":
                database = open_database("mem://")
            case "surrealkv":
                database = open_database(f"surrealkv://{folder}/data")
            case "ws":
                server = stack.enter_context(SurrealServer.find(folder))
                name_of_its_own = f"test_{uuid.uuid4().hex}"
                database = open_database(server.url, database=name_of_its_own, username=USERNAME, password=PASSWORD)
        store = MemoryStore() if database is None else SurrealStore(database)
        engine = Engine(name, store, database)
        stack.callback(engine.close)
        yield engine
