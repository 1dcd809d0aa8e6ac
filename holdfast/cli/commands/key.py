"""`key`: makes an encryption key."""

from __future__ import annotations

from holdfast.cli.render.output import Output
from holdfast.storage.encryption import new_key
from holdfast.storage.sealed import SETTING

EXAMPLES = """
    $ key
    $ key >> .env
"""


async def key() -> None:
    """Makes a key for HOLDFAST_ENCRYPTION_KEY.

    Set it where the worker and all clients read their settings, and keep a copy:
    without the key, nothing that it encrypted can be read again. To change keys,
    put the new one first and the old one behind it, separated by a comma.
    """
    Output().say(f"{SETTING}={new_key()}")
