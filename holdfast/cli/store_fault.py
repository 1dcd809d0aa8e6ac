"""Check that the store answers, for `status`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.settings import Settings

TIMEOUT = 5.0  # seconds


async def store_fault(settings: Settings, *, is_open: bool | None) -> str | None:
    """Returns why the store does not answer; `None` if it does, or if there is nothing to ask.

    Args:
        settings: name the store.
        is_open: whether a process has the embedded database open; one that is not open is not opened for this. `None`
            means that it is not embedded.
    """
    from holdfast.composition.persistence import open_configured  # noqa: PLC0415 - `--help` needs no database client

    if settings.is_in_memory or is_open is False:
        return None
    try:
        persistence = open_configured(settings)
    except HoldfastError as error:
        return str(error)
    try:
        async with asyncio.timeout(TIMEOUT):
            if (database := persistence.database) is None:
                return None
            # A read by a person works on a copy of an embedded database, and so does not ask the process that has it.
            await (database.run if is_open else database.read)("RETURN 1")
    except TimeoutError:
        return f"it did not answer within {TIMEOUT:.0f} s"
    except HoldfastError as error:
        return str(error)
    finally:
        await persistence.close()
    return None
