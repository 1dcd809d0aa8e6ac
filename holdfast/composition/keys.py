"""Construction of the encryption keys from the settings."""

from __future__ import annotations

from holdfast.errors import SettingsError, UsageError
from holdfast.settings import Settings
from holdfast.storage.encryption import KeyRing
from holdfast.storage.sealed import SETTING


def key_ring(settings: Settings) -> KeyRing | None:
    """Returns the encryption keys; `None` means that payloads are not encrypted.

    Raises:
        SettingsError: the keys are not valid; the message does not show them.
    """
    if settings.holdfast_encryption_key is None:
        return None
    try:
        return KeyRing.parse(settings.holdfast_encryption_key.get_secret_value())
    except UsageError as error:
        raise SettingsError(f"{SETTING}=(hidden) is not accepted: {error}") from None
