"""A payload codec that encrypts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from holdfast.storage.encryption import KeyRing
from holdfast.temporal.encrypted import ENCODING, KEY_NAME
from holdfast.temporal.routing import ANSWER_MARK


class EncryptionCodec(PayloadCodec):
    """Encrypts each payload with its own nonce.

    Args:
        keys: the first one encrypts.
        leave: returns whether to leave a payload as it is, because its storage encrypts it: only chunk by chunk can the
            storage recognize chunks that it already has.
    """

    def __init__(self, keys: KeyRing, leave: Callable[[Payload], bool]) -> None:
        self._keys = keys
        self._leave = leave

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts payloads, including encrypted ones."""
        return [payload if self._leave(payload) else self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts payloads; plain ones are returned as they are.

        Raises:
            PayloadUnreadable: the key is not configured.
        """
        return [
            self._decrypt(payload) if payload.metadata.get("encoding") == ENCODING else payload for payload in payloads
        ]

    def _encrypt(self, payload: Payload) -> Payload:
        key = self._keys.first
        metadata = {"encoding": ENCODING, KEY_NAME: key.name.encode()}
        if ANSWER_MARK in payload.metadata:
            metadata[ANSWER_MARK] = payload.metadata[ANSWER_MARK]
        return Payload(metadata=metadata, data=key.encrypt_anew(b"\0" + payload.SerializeToString()))

    def _decrypt(self, payload: Payload) -> Payload:
        key = self._keys.key(payload.metadata.get(KEY_NAME, b"").decode(errors="replace"))
        return Payload.FromString(key.decrypt_anew(payload.data)[1:])
