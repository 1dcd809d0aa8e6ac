"""Samples of all stored data, with helpers that export, import and compare them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.definition import AgentDefinition
from holdfast.ops.transfer import BundleWriter, Importer, JsonlExport, MirrorSource, Selection, Tally, inspect
from holdfast.ops.transfer.parts import parts_of
from holdfast.ports.conversations import SavedConversation
from holdfast.ports.ledger import CallKey
from holdfast.ports.registry import UnregisteringRegistry
from holdfast.ports.retrieval import StoredVector
from holdfast.scripted.hashing import hashed_vector
from holdfast.storage.database import Database
from holdfast.storage.edge_cases import EDGE_CASES
from holdfast.storage.memory import Embedding
from holdfast.storage.mirror.sample import SampleRun
from holdfast.storage.persistence import Persistence, persistence_on
from holdfast.types import MirroredRun, RunId, RunStatus, TranscriptRef
from tests.support import dump as rows

TABLES = (
    *rows.TABLES,
    "agent",
    "agent_head",
    "agent_place",
    "vector",
    "vector_namespace",
    "memory",
    "memory_space",
    "payload",
    "bus",
    "bus_topic",
    "ledger",
    "content",
    "content_part",
    "conversation",
)
LOCAL = {
    "payload": ("day",),
    "content": ("day",),
    "vector_namespace": ("nearest", "learned"),
    "memory_space": ("revision",),
}
"""What is each database's own: when chunks were used, indexes, a counter of writes."""
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = [
    "plain", "a\0b", "'; DELETE event; -- ⟩ ` $run", "漢字 \U0001f600 \u202e \u2028\x85", "```\n# not a heading", ""
]  # fmt: skip


class HashingEmbedder:
    """The scripted model's vectors, without its server."""

    name = "hashing@32"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [hashed_vector(text, 32) for text in texts]

    async def close(self) -> None:
        pass


def run(number: int, **options: Any) -> SampleRun:
    """A run that has ended, with texts that databases stumble over."""
    given: dict[str, Any] = {
        "turns": number % 4,
        "run_id": f"run {number:02} ⟩'`\\",
        "started_at": BEGAN + timedelta(minutes=number),
        "text": TEXTS[number % len(TEXTS)],
        "extra": [odd.value for odd in EDGE_CASES][number % len(EDGE_CASES)],
        "status": RunStatus.COMPLETED,
    }
    return SampleRun(**given | options)


async def fill(persistence: Persistence) -> None:
    """Keeps something of everything."""
    for number in range(30):
        await persistence.store.append(run(number).batch())
    unbegun = run(40).batch().summary.model_copy(update={"status": RunStatus.TERMINATED})
    await persistence.store.conclude(MirroredRun(summary=unbegun, chain="x", head=TranscriptRef(seq=-1, digest="")))
    for prompt in ("one", "two\ud800", "two\ud800", "three"):
        for name in ("guide", "former", "ab'c ⟩"):
            await persistence.registry.register(AgentDefinition(name=name, system_prompt=prompt))
    assert isinstance(persistence.registry, UnregisteringRegistry)
    await persistence.registry.unregister("former")
    for content in (b"\0", bytes(1_100_000), b"a picture"):
        await persistence.contents.put(content)
    await persistence.vectors("a\0 ⟩").upsert_many(
        StoredVector(id=f"v\ud800{number}", vector=[0.1 * number, -0.0, 1e-9], metadata={"n": 2**63, "f": 1.0})
        for number in range(450)
    )
    for number, text in enumerate(TEXTS):
        await persistence.memories.add("shared", f"remember {text}", {"n": number, "text": text})
    await Embedding(persistence.memories).next_batch("shared")
    await persistence.memories.add("agent/guide", "this one waits for its vector")
    for number in range(300):
        await persistence.bus.publish("runs ⟩", {"n": number, "text": TEXTS[number % len(TEXTS)]}, key=f"k{number}")
    await persistence.bus.publish("live", {"a": 1}, ephemeral=True)
    assert persistence.ledger is not None
    for number in range(3):
        key = CallKey(run(number).run_id, "x", 2, number, "f")
        await persistence.ledger.claim(key, owner="a", tool="pay")
        await persistence.ledger.record(key, owner="a" if number else "b", result=bytes(number))
    for number in range(3):
        saved = SavedConversation(
            run(number).run_id, "x", "guide", number, BEGAN, number, json.dumps({"messages": [TEXTS[number]]})
        )
        await persistence.conversations.put(saved)
    assert persistence.payloads is not None
    await persistence.payloads.keep({f"{number:064x}": bytes([number]) * 1000 for number in range(40)})


def opened(database: Database) -> Persistence:
    """Everything on this database."""
    return persistence_on(database, embedder=HashingEmbedder())


async def exported(
    persistence: Persistence, *, runs_alone: bool = False, skipped: dict[RunId, str] | None = None
) -> bytes:
    """All of it as a file, or the runs alone; `skipped` takes those that cannot be read."""
    file = io.BytesIO()
    writer, source = BundleWriter(file.write), MirrorSource(persistence.store)
    export = JsonlExport(writer)
    writer.begin()
    if not runs_alone:
        await export.parts(parts_of(persistence))
    await export.write_runs(source, source.ids(), Selection())
    writer.end()
    if skipped is None:
        assert export.skipped == {}
    else:
        skipped |= export.skipped
    return file.getvalue()


async def imported(persistence: Persistence, file: bytes, **options: Any) -> dict[str, Tally]:
    """Loads a file, and says what became of it."""
    parts = parts_of(persistence)
    found = inspect(io.BytesIO(file), parts)
    importer = Importer(persistence.store, parts, **options)
    await importer.load(io.BytesIO(file), found)
    return importer.tallies


async def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row but for what is each database's own, and for events that are live only."""
    found = await rows.dump(database, TABLES)
    return {
        table: [
            {name: value for name, value in row.items() if name not in LOCAL.get(table, ())}
            for row in kept
            if not row.get("ephemeral")
        ]
        for table, kept in found.items()
    }


def lines_of(file: bytes) -> list[bytes]:
    """A file's items, in any order."""
    return sorted(file.splitlines(keepends=True)[1:-1])
