"""A lab that stores large payloads in a real database, with or without encryption."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from holdfast.client.holdfast import Holdfast
from holdfast.settings import Settings
from holdfast.storage.encryption import KeyRing
from holdfast.storage.payloads.chunk_store import ChunkStore
from holdfast.storage.payloads.chunk_table import ChunkTable
from holdfast.storage.payloads.data_converter import data_converter
from holdfast.storage.persistence import open_persistence
from holdfast.temporal.connection import connect_temporal
from tests.support.lab import Lab
from tests.support.lab_model import LabServer


@asynccontextmanager
async def open_stored_lab(
    address: str,
    folder: Path,
    *,
    url: str | None = None,
    keys: KeyRing | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Lab, ChunkTable]]:
    """Makes a lab on a database.

    Args:
        address: of the Temporal server.
        folder: for everything that is written.
        url: of the database; None: the embedded engine, in the folder.
        keys: encrypt everything.
        options: what `holdfast.storage.database.open_database` takes besides.
    """
    settings = Settings(
        holdfast_home=folder / "home",
        temporal_address=address,
        temporal_task_queue=f"test-{uuid.uuid4().hex[:12]}",
    )
    persistence = open_persistence(url or f"surrealkv://{folder / 'db'}", keys=keys, **options)
    payloads = persistence.payloads
    assert payloads is not None
    converter = data_converter(partial(ChunkStore, payloads, keys), keys)
    client = await connect_temporal(address, converter=converter)
    runs = Holdfast(
        client,
        task_queue=settings.temporal_task_queue,
        max_input_bytes=settings.max_payload_bytes,
        contents=lambda: persistence.contents,
    )
    try:
        async with LabServer() as server:
            yield Lab(client, runs, server, persistence.store, settings, contents=persistence.contents), payloads
    finally:
        await persistence.close()
