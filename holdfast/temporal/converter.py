"""Data converter: values as JSON by pydantic, without fields that were not set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter, ToJsonOptions
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    SerializationContext,
    StorageDriverStoreContext,
)
from typing_extensions import override

from holdfast.progress import RunProgress
from holdfast.protocol import EntryPage, MessagePage
from holdfast.temporal.encrypted import UnreadablePayloadConverter
from holdfast.temporal.routing import ANSWER_MARK, THRESHOLD

ANSWERS = (EntryPage, MessagePage, RunProgress)  # of queries

# Shared: the SDK creates a payload converter for each task, and building serialisers is slow.
_ENCODINGS = (
    UnreadablePayloadConverter(),  # first, as the last one takes any value
    *PydanticPayloadConverter(ToJsonOptions(exclude_unset=True)).converters.values(),
)


class HoldfastPayloadConverter(CompositePayloadConverter):
    """JSON by pydantic, without unset fields, which halves the bytes of a turn in the history."""

    def __init__(self) -> None:
        super().__init__(*_ENCODINGS)

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Encodes values as JSON and marks large results of queries for `goes_to_storage`."""
        payloads = super().to_payloads(values)
        for value, payload in zip(values, payloads, strict=True):
            if isinstance(value, ANSWERS) and payload.ByteSize() >= THRESHOLD:
                payload.metadata[ANSWER_MARK] = b"1"
        return payloads


class ContextFreeConverter(DataConverter):
    """A data converter whose parts need no context. The SDK would otherwise make another one for each payload."""

    @override
    def with_context(self, context: SerializationContext) -> Self:
        return self

    @override
    def _with_store_context(self, store_ctx: StorageDriverStoreContext) -> Self:
        return self


DATA_CONVERTER = ContextFreeConverter(payload_converter_class=HoldfastPayloadConverter)
"""Default converter of clients and workers."""
