"""Conversion between records and rows of the table `memory`."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from surrealdb import RecordID

from holdfast.storage.memory.record import Record

Row = dict[str, Any]
FIELDS = "id, exact, digest, added_at, embedded_by, fault"
"""The fields that `record_from` reads."""


def memory_id(namespace: str, key: str) -> RecordID:
    """Returns the id of a record's row."""
    return RecordID("memory", [namespace, key])


def space_id(namespace: str) -> RecordID:
    """Returns the id of a namespace's row."""
    return RecordID("memory_space", namespace)


def new_row(record: Record) -> Row:
    """Returns the row of a record that is not embedded yet."""
    return {
        "id": memory_id(record.namespace, record.id),
        "text": record.text.replace("\0", "\ufffd"),
        "exact": json.dumps([record.text, record.metadata], ensure_ascii=False, separators=(",", ":")),
        "digest": record.digest,
        "facets": sorted(record.facets),
        "added_at": record.added_at.astimezone(UTC),
        "pending": record.namespace,
    }


def record_from(row: Row) -> Record:
    """Returns the record that a row stores."""
    namespace, key = row["id"].id
    text, metadata = json.loads(row["exact"])
    return Record(
        namespace=namespace,
        id=key,
        text=text,
        metadata=metadata,
        digest=row["digest"],
        added_at=row["added_at"],
        embedded_by=row.get("embedded_by"),
        fault=row.get("fault"),
    )
