"""Records of a memory table: validated memories with an id and a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import JsonValue

from holdfast.errors import UsageError
from holdfast.ports.retrieval import Memory
from holdfast.storage.vectors.metadata import facets, metadata_text
from holdfast.types import clean_text

MAX_TEXT_BYTES = 64 * 1024  # some 20 pages; longer texts are found better in parts, and take seconds to index
MAX_METADATA_BYTES = 16 * 1024  # of JSON
MAX_NAME_CHARS = 200  # of a namespace or an id; both are parts of record ids, a namespace of workflow ids too
ID_CHARS = 32  # hex digits: 128 bits, so that no two texts share an id by chance

KIND = "memory"  # part of each facet's digest, so that facets of memories differ from those of vectors


@dataclass(frozen=True)
class Record:
    """A validated memory."""

    namespace: str
    id: str
    text: str
    metadata: dict[str, JsonValue]
    digest: str
    """SHA-256 of namespace, text and metadata: two records with the same digest are equal."""
    added_at: datetime
    embedded_by: str | None = None
    fault: str | None = None

    @property
    def facets(self) -> frozenset[str]:
        """Digests of the metadata, which filters compare."""
        return facets(KIND, self.metadata)

    def public(self) -> Memory:
        """Returns the memory as the public API returns it."""
        return Memory(
            id=self.id,
            namespace=self.namespace,
            text=self.text,
            metadata=self.metadata,
            added_at=self.added_at,
            embedded_by=self.embedded_by,
            fault=self.fault,
        )

    def embedded(self, embedder: str, fault: str | None) -> Record:
        """Returns the record with the result of its embedding: the embedder's name, or a fault."""
        return replace(self, embedded_by=None if fault else embedder, fault=fault)


def make_record(
    namespace: str, text: str, metadata: Mapping[str, JsonValue] | None = None, *, key: str | None = None
) -> Record:
    """Validates and cleans a memory.

    Args:
        namespace: its namespace.
        text: its text.
        metadata: JSON values by name.
        key: its id; `None` derives the id from the other arguments.

    Raises:
        UsageError: an argument is blank, too large or not JSON; the message names it and the limit.
    """
    namespace = checked_namespace(namespace)
    text = _checked_text(text)
    cleaned = _checked_metadata({} if metadata is None else metadata)
    digest = hashlib.sha256(json.dumps([namespace, text, cleaned], sort_keys=True).encode()).hexdigest()
    identity = digest[:ID_CHARS] if key is None else checked_id(key)
    return Record(namespace, identity, text, cleaned, digest, datetime.now(UTC))


def checked_namespace(namespace: str) -> str:
    """Returns the namespace if it is valid.

    Raises:
        UsageError: it is not valid.
    """
    return _checked_name("namespace", namespace)


def checked_id(id: str) -> str:  # noqa: A002 - the field's word
    """Returns the id if it is valid.

    Raises:
        UsageError: it is not valid.
    """
    return _checked_name("id", id)


def _checked_name(what: str, name: str) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME_CHARS or not _is_printable(name):
        raise UsageError(f"memory {what} {name!r:.80}: 1 to {MAX_NAME_CHARS} printable characters are accepted")
    return name


def _is_printable(name: str) -> bool:
    return clean_text(name) == name and name.isprintable()


def checked_filter(wanted: Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    """Returns a search's filter, cleaned like metadata.

    Raises:
        UsageError: it is not a mapping of names to JSON values.
    """
    return _checked_metadata({} if wanted is None else wanted, what="filter")


def wanted_facets(wanted: Mapping[str, JsonValue]) -> frozenset[str]:
    """Returns the facets that a record needs to match a filter; vectors compare values in the same way."""
    return facets(KIND, wanted)


def _checked_text(text: str) -> str:
    if not isinstance(text, str):
        raise UsageError(f"a memory is a text, not a value of type {type(text).__name__}")
    cleaned: str = clean_text(text)
    if not cleaned.strip():
        raise UsageError("a memory needs a text that is not blank")
    size = len(cleaned.encode())
    if size > MAX_TEXT_BYTES:
        raise UsageError(
            f"this text has {size:,} bytes, a memory at most {MAX_TEXT_BYTES:,}: add it in parts, "
            "a paragraph or a page each, which are found better too"
        )
    return cleaned


def _checked_metadata(metadata: Mapping[str, JsonValue], what: str = "metadata") -> dict[str, JsonValue]:
    """Returns the metadata as it will be read back, with lone surrogates replaced; vectors accept the same values."""
    try:
        plain = json.loads(metadata_text(metadata))
    except UsageError as error:
        raise UsageError(str(error).replace("metadata", what)) from None
    text = clean_text(json.dumps(plain, ensure_ascii=False))
    if (size := len(text.encode())) > MAX_METADATA_BYTES:
        raise UsageError(f"{what} has {size:,} bytes as JSON, at most {MAX_METADATA_BYTES:,} are accepted")
    cleaned: dict[str, JsonValue] = json.loads(text)
    return cleaned
