"""The statements of an append: one for a batch, without the parts that have nothing to do."""

from __future__ import annotations

from typing import Any

from holdfast.storage.database.database import SurrealDatabase
from holdfast.storage.database.embedded import MemoryEndpoint
from holdfast.storage.database.surql import Transaction
from holdfast.storage.mirror.sample import SampleRun
from holdfast.storage.mirror.surreal import SurrealStore

RELATED = "INSERT RELATION IGNORE INTO spawned ("  # looks for runs that were written before their parent
TURN = "SELECT * FROM $results"  # looks for the calls of a turn that began in an earlier batch


class Recorded(SurrealDatabase):
    """A database that records the statements that it runs."""

    def __init__(self) -> None:
        super().__init__(MemoryEndpoint("tests", "tests"))
        self.statements: list[str] = []

    async def run(self, statement: str, **values: Any) -> list[Any]:
        self.statements.append(statement)
        return await super().run(statement, **values)


async def test_a_batch_is_one_statement() -> None:
    """An append reads nothing before it writes, and asks the database only what the batch does not say."""
    database, run = Recorded(), SampleRun(turns=4)
    store = SurrealStore(database)
    batches = {
        "the start of a run": (run.batch(0, 2), {RELATED}),
        "a turn": (run.batch(2, 5), set()),
        "the start of a turn": (run.batch(5, 6), set()),
        "the end of a turn that began before": (run.batch(6, 8), {TURN}),
        "two turns": (run.batch(8, 14), set()),
    }
    try:
        for what, (batch, parts) in batches.items():
            database.statements.clear()
            assert await store.append(batch) == batch.entries[-1].ref, what
            [statement] = database.statements
            assert {part for part in (RELATED, TURN) if part in statement} == parts, what
        assert await store.entries(run.run_id) == run.entries
    finally:
        await store.close()


def test_a_statement_depends_on_its_value() -> None:
    """A statement with a condition is left out if the value is empty or missing; comments are always left out."""
    found = Transaction(
        "-- comment\nBEGIN;\n-- if $rows\n-- why\nINSERT INTO a (\n    SELECT * FROM $rows\n);\nDELETE b;\nCOMMIT;\n"
    )
    assert found.text({"rows": [1], "others": []}) == (
        "BEGIN;\nINSERT INTO a (\n    SELECT * FROM $rows\n);\nDELETE b;\nCOMMIT;"
    )
    assert found.text({"rows": []}) == found.text({}) == "BEGIN;\nDELETE b;\nCOMMIT;"
