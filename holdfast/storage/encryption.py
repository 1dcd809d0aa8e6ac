"""Encryption keys, and the key ring: its first key encrypts, all of them decrypt.

The scheme is AES-SIV (RFC 5297), with keys derived by HKDF. It is safe without a nonce: equal plaintexts then have
equal ciphertexts, and nothing else leaks. This allows equal chunks to be stored once, and a rebuilt mirror to be
identical byte by byte. Where neither is needed, a random nonce hides equality too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from typing_extensions import override

from holdfast.errors import PayloadUnreadable, UsageError
from holdfast.ports import Cipher
from holdfast.storage.sealed import SEALED, SETTING, without_keys

KEY_BYTES = 32
NONCE_BYTES = 16
KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,32}")
ACCEPTED = "base64 of 32 bytes, optionally after a name and a colon; `key` creates one"


class Key:
    """One key; its text form shows only its name.

    Args:
        secret: 32 random bytes from a secure source.
        name: stored with everything that the key encrypts; `None` uses a fingerprint.
    """

    def __init__(self, secret: bytes, name: str | None = None) -> None:
        self.name = name or hashlib.sha256(b"holdfast key name" + secret).hexdigest()[:8]
        self._aead = AESSIV(_derive(secret, b"holdfast encryption", 64))
        self._address = _derive(secret, b"holdfast addresses", 32)

    def __repr__(self) -> str:
        return f"Key({self.name!r})"

    def address(self, data: bytes) -> bytes:
        """Returns a keyed hash of content, 32 bytes; without the key it reveals nothing about the content."""
        return hmac.digest(self._address, data, "sha256")

    def encrypt(self, data: bytes, *context: bytes) -> bytes:
        """Encrypts deterministically: equal data and context give equal ciphertexts.

        Args:
            data: at least one byte.
            context: authenticated data; decryption needs the same.
        """
        return self._aead.encrypt(data, [self.name.encode(), *context])

    def decrypt(self, data: bytes, *context: bytes) -> bytes:
        """Decrypts what `encrypt` returned.

        Raises:
            PayloadUnreadable: the data was altered, or encrypted with another key or context.
        """
        try:
            return self._aead.decrypt(data, [self.name.encode(), *context])
        except (InvalidTag, ValueError):
            raise PayloadUnreadable(
                f"data encrypted with key {self.name!r} cannot be decrypted: it was altered, "
                f"or {SETTING} has a different key of that name"
            ) from None

    def encrypt_anew(self, data: bytes) -> bytes:
        """Encrypts at least one byte with a random nonce."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.encrypt(data, nonce)

    def decrypt_anew(self, data: bytes) -> bytes:
        """Decrypts what `encrypt_with_nonce` returned; raises what `decrypt` raises."""
        return self.decrypt(data[NONCE_BYTES:], data[:NONCE_BYTES])


class KeyRing(Cipher):
    """The keys that are in use.

    Args:
        keys: the first encrypts, all decrypt; at least one.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys: dict[str, Key] = {}
        for key in keys:
            if key.name in self._keys:
                raise UsageError(f"two keys are named {key.name!r}: give each a unique name")
            self._keys[key.name] = key
        if not self._keys:
            raise UsageError(f"there is no key: it must be {ACCEPTED}")
        self.first = next(iter(self._keys.values()))

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Parses `[name:]base64, ...`.

        Raises:
            UsageError: the text is invalid; the message does not contain it.
        """
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return cls(_parse(part, number) for number, part in enumerate(parts, start=1))

    def key(self, name: str) -> Key:
        """Returns the key of this name.

        Raises:
            PayloadUnreadable: there is no such key.
        """
        found = self._keys.get(name)
        if found is None:
            raise PayloadUnreadable(
                f"this was encrypted with key {name!r}, which {SETTING} does not contain (it has "
                f"{', '.join(map(repr, self._keys))}): append that key to it"
            )
        return found

    @override
    def seal(self, text: str) -> str:
        sealed = base64.b64encode(self.first.encrypt(b"\0" + text.encode())).decode()
        return f"{SEALED}{self.first.name}:{sealed}"

    @override
    def unseal(self, text: str) -> str:
        if not text.startswith(SEALED):
            return text
        name, _, sealed = text.removeprefix(SEALED).partition(":")
        return self.key(name).decrypt(base64.b64decode(sealed))[1:].decode()


def key_of(keys: KeyRing | None, name: str) -> Key:
    """Returns the key of this name.

    Raises:
        PayloadUnreadable: there is no such key, or no keys are configured.
    """
    if keys is None:
        raise without_keys(name)
    return keys.key(name)


def new_key() -> str:
    """Returns a new random key in the format of the setting."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _parse(part: str, number: int) -> Key:
    name, separator, encoded = part.rpartition(":")
    if separator and not KEY_ID.fullmatch(name):
        raise UsageError(f"key {number} has a name that is not 1 to 32 letters, digits and _ . -")
    try:
        secret = base64.b64decode(encoded.strip(), altchars=b"-_" if set(encoded) & set("-_") else None, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"key {number} is not {ACCEPTED}") from None
    if len(secret) != KEY_BYTES:
        raise UsageError(f"key {number} has {len(secret)} bytes instead of {KEY_BYTES}: it must be {ACCEPTED}")
    return Key(secret, name or None)


def _derive(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret)
