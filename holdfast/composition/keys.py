"""The encryption keys, from the settings."""

from __future__ import annotations

from holdfast.errors import SettingsError, UsageError
from holdfast.settings import Settings
from holdfast.storage.encryption import SETTING, KeyRing


def key_ring(settings: Settings) -> KeyRing | None:
    """The keys that settings give; None: nothing is encrypted.

    Raises:
        SettingsError: they are none; the message does not show them.
    """
    if settings.holdfast_encryption_key is None:
        return None
    try:
        return KeyRing.parse(settings.holdfast_encryption_key.get_secret_value())
    except UsageError as error:
        raise SettingsError(f"{SETTING}=(hidden) is not accepted: {error}") from None
