"""Encrypts what travels inside Temporal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from holdfast.storage.encryption import KeyRing
from holdfast.temporal.routing import ANSWER_MARK

ENCODING = b"binary/encrypted"
KEY_NAME = "encryption-key-id"  # the name that Temporal's own samples use


class EncryptionCodec(PayloadCodec):
    """Encrypts each payload by itself, with a nonce of its own.

    Args:
        keys: the first encrypts.
        leave: which payloads are left as they are, because the storage that takes them encrypts them itself: only
            piece by piece can it still tell that it has a piece already.
    """

    def __init__(self, keys: KeyRing, leave: Callable[[Payload], bool]) -> None:
        self._keys = keys
        self._leave = leave

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts; what is encrypted already is encrypted again."""
        return [payload if self._leave(payload) else self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts; what was never encrypted is given back as it is.

        Raises:
            PayloadUnreadable: the key is not here.
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
