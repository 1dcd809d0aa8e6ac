"""The data converter of clients and workers: it encrypts, and stores large payloads outside of Temporal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    ExternalStorage,
    StorageDriver,
    StorageDriverSelectContext,
)

from holdfast.storage.encryption import KeyRing
from holdfast.storage.payloads.codec import EncryptionCodec
from holdfast.storage.payloads.driver import PayloadDriver
from holdfast.temporal.converter import DATA_CONVERTER
from holdfast.temporal.routing import ANSWER_MARK, goes_to_storage

if TYPE_CHECKING:
    from holdfast.storage.payloads.chunk_store import ChunkStore


def data_converter(open_chunk_store: Callable[[], ChunkStore] | None, keys: KeyRing | None = None) -> DataConverter:
    """Returns a data converter.

    Args:
        open_chunk_store: returns the store of large payloads, with the same keys; called for the first one. `None`
            sends everything through Temporal, within its limits.
        keys: encrypt everything, including messages of failures; `None` encrypts nothing.
    """
    converter = DATA_CONVERTER
    if open_chunk_store is not None:
        driver = PayloadDriver(open_chunk_store, keys)
        storage = ExternalStorage([driver], driver_selector=partial(_select, driver), payload_size_threshold=0)
        converter = replace(converter, external_storage=storage)
    if keys is not None:
        converter = replace(
            converter,
            payload_codec=EncryptionCodec(
                keys, goes_to_storage if open_chunk_store is not None else lambda _payload: False
            ),
            failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
        )
    return converter


def _select(driver: StorageDriver, _context: StorageDriverSelectContext, payload: Payload) -> StorageDriver | None:
    if goes_to_storage(payload):
        return driver
    payload.metadata.pop(ANSWER_MARK, None)  # Temporal's CLI shows plain JSON only where there is no other metadata
    return None
