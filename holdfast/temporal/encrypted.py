"""Encrypted payloads where no key is configured: reading one fails with the name of its key."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import EncodingPayloadConverter
from typing_extensions import override

from holdfast.errors import PayloadUnreadable

ENCODING = b"binary/encrypted"
KEY_NAME = "encryption-key-id"  # the metadata key of Temporal's samples


class UnreadablePayloadConverter(EncodingPayloadConverter):
    """Stands in for the codec that a key would bring; it costs nothing for payloads that are not encrypted."""

    @property
    @override
    def encoding(self) -> str:
        return ENCODING.decode()

    @override
    def to_payload(self, value: Any) -> Payload | None:
        return None

    @override
    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        name = payload.metadata.get(KEY_NAME, b"").decode(errors="replace")
        raise PayloadUnreadable(
            f"this was encrypted with key {name!r}, and HOLDFAST_ENCRYPTION_KEY is not set: set it to that key"
        )
