"""Data converter of clients; it loads the database's SDK only when it meets a large payload."""

from __future__ import annotations

from temporalio.converter import DataConverter

from holdfast.composition.keys import key_ring
from holdfast.composition.reachable import ClientStorage
from holdfast.settings import Settings
from holdfast.storage.payloads.data_converter import data_converter


def client_converter(settings: Settings, storage: ClientStorage) -> DataConverter:
    """Returns a converter that opens the storage when it meets the first large payload.

    Raises:
        SettingsError: a setting has a bad value.
    """
    return data_converter(storage.chunk_store if settings.store_url != "memory://" else None, key_ring(settings))
