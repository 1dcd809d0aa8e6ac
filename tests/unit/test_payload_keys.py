"""Encryption keys: accepted forms, the key in use, and errors for a missing one."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest
from temporalio.api.common.v1 import Payload

from holdfast.composition.keys import key_ring
from holdfast.errors import PayloadUnreadable, SettingsError, UsageError
from holdfast.settings import Settings
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.payloads.codec import EncryptionCodec

OLD, NEW = f"old:{new_key()}", f"new:{new_key()}"
HELLO = Payload(metadata={"encoding": b"json/plain"}, data=b'"hello"')


@dataclass(frozen=True)
class Bad:
    name: str
    text: str
    says: str


BADS = [
    Bad("not base64", "secret!", "key 1 is not base64 of 32 bytes"),
    Bad("too short", base64.b64encode(b"x" * 31).decode(), "key 1 has 31 bytes instead of 32"),
    Bad("too long", base64.b64encode(b"x" * 33).decode(), "key 1 has 33 bytes instead of 32"),
    Bad("second is bad", f"{new_key()},secret!", "key 2 is not base64"),
    Bad("bad name", f"my key:{new_key()}", "key 1 has a name that is not"),
    Bad("twice", f"{OLD},old:{new_key()}", "two keys are named 'old'"),
    Bad("nothing", " , ", "there is no key: it must be base64"),
    Bad("not ASCII", "schlüssel", "key 1 is not base64"),
]


@pytest.mark.parametrize("bad", BADS, ids=lambda bad: bad.name)
def test_a_bad_key_is_refused_and_not_shown(bad: Bad) -> None:
    """An invalid key is refused without showing it."""
    with pytest.raises(SettingsError) as error:
        key_ring(Settings(holdfast_encryption_key=bad.text))
    assert "HOLDFAST_ENCRYPTION_KEY=(hidden)" in str(error.value)
    assert bad.says in str(error.value)
    for secret in bad.text.replace(",", ":").split(":"):
        assert len(secret) < 6 or secret not in str(error.value)


def test_forms_that_are_accepted() -> None:
    """Keys are accepted with and without a name, in both base64 alphabets, with surrounding spaces."""
    secret = b"\xfb\xff" * 16
    ring = KeyRing.parse(f" {base64.urlsafe_b64encode(secret).decode()} , {OLD},")
    same = KeyRing.parse(base64.b64encode(secret).decode())
    assert ring.first.name == same.first.name
    assert same.unseal(ring.seal("text")) == "text"
    assert ring.key("old").name == "old"
    assert base64.b64encode(secret).decode() not in repr(ring.first)


async def encrypted(keys: KeyRing, payload: Payload = HELLO) -> Payload:
    """A payload as Temporal gets it."""
    [found] = await EncryptionCodec(keys, lambda _payload: False).encode([payload])
    return found


async def decrypted(keys: KeyRing, payload: Payload) -> Payload:
    """A payload as it was."""
    [found] = await EncryptionCodec(keys, lambda _payload: False).decode([payload])
    return found


async def test_the_first_key_encrypts_and_all_decrypt() -> None:
    """The first key encrypts, and every key decrypts."""
    before, during, after = KeyRing.parse(OLD), KeyRing.parse(f"{NEW},{OLD}"), KeyRing.parse(NEW)
    payload = await encrypted(before)
    assert b"hello" not in payload.SerializeToString()
    assert await decrypted(during, payload) == HELLO
    renewed = await encrypted(during)
    assert await decrypted(after, renewed) == HELLO
    with pytest.raises(PayloadUnreadable, match="key 'old', which HOLDFAST_ENCRYPTION_KEY does not contain"):
        await decrypted(after, payload)
    assert await decrypted(after, HELLO) == HELLO, "what was never encrypted stays readable"


async def test_equal_payloads_do_not_look_equal() -> None:
    """Equal payloads have different ciphertexts."""
    keys = KeyRing.parse(OLD)
    assert await encrypted(keys) != await encrypted(keys)


async def test_what_was_altered_is_not_decrypted() -> None:
    """Altered ciphertext is refused."""
    keys = KeyRing.parse(OLD)
    payload = await encrypted(keys)
    payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
    with pytest.raises(PayloadUnreadable, match="altered"):
        await decrypted(keys, payload)


async def test_another_key_of_the_same_name_does_not_decrypt() -> None:
    """Another key with the same name does not decrypt."""
    payload = await encrypted(KeyRing.parse(OLD))
    with pytest.raises(PayloadUnreadable, match="has a different key of that name"):
        await decrypted(KeyRing.parse(f"old:{new_key()}"), payload)


async def test_an_empty_payload_survives() -> None:
    """A payload without data and metadata is restored."""
    keys = KeyRing.parse(OLD)
    for payload in (Payload(), Payload(data=b"")):
        assert await decrypted(keys, await encrypted(keys, payload)) == payload


@pytest.mark.parametrize("text", ["", "a", "ğ \U0001f600 \0 \n", "x" * 100_000, "sealed:nothing"])
def test_sealed_text_comes_back(text: str) -> None:
    """Encrypted text is restored exactly."""
    keys = KeyRing.parse(OLD)
    sealed = keys.seal(text)
    assert keys.unseal(sealed) == text
    assert sealed == keys.seal(text), "a rebuilt mirror is equal byte by byte"
    assert len(text) < 8 or text not in sealed, "a letter may stand in any text"


def test_text_that_was_never_sealed_is_given_back() -> None:
    """Text from before encryption is returned unchanged."""
    assert KeyRing.parse(OLD).unseal('{"seq": 0}') == '{"seq": 0}'


def test_a_ring_needs_a_key() -> None:
    """A key ring without a key is refused."""
    with pytest.raises(UsageError):
        KeyRing([])
