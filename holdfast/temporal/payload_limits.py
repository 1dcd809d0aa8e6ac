"""How what an activity gives back travels: how large it may be, and whether others may read it."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from temporalio.converter import DataConverter

from holdfast._util.logger import get_logger
from holdfast.errors import StoreUnavailable
from holdfast.temporal.routing import INLINE_LIMIT
from holdfast.types import MAX_INPUT_BYTES

log = get_logger(__name__)

PAUSE = 2.0  # seconds between attempts to store a result while the store is away


class PayloadLimits:
    """What a worker's activities know of the way to Temporal.

    Args:
        converter: the worker's.
        max_payload_bytes: the largest payload where there is a store for it.
    """

    def __init__(self, converter: DataConverter, max_payload_bytes: int) -> None:
        self._converter = converter
        self.max_bytes = largest_payload(converter, max_payload_bytes)
        self.max_input_bytes = largest_input(converter, max_payload_bytes)

    @property
    def is_private(self) -> bool:
        """Whether payloads are encrypted, so that nothing of them may stand where everybody reads."""
        return self._converter.payload_codec is not None

    def excess(self, value: BaseModel) -> int | None:
        """The size of a value in bytes, as JSON, if it is too large to travel; else None."""
        size = len(value.__pydantic_serializer__.to_json(value, exclude_unset=True))
        return size if size > self.max_bytes else None

    async def settle(self, value: BaseModel) -> None:
        """Has the parts of a large value stored, however long it takes.

        What an activity gives back is stored when its heartbeats have ended already: a store that is away then would
        cost the result. Storing it twice costs little, as the second time nothing is new.
        """
        if len(value.__pydantic_serializer__.to_json(value, exclude_unset=True)) <= INLINE_LIMIT:
            return
        while True:
            try:
                await self._converter.encode([value])
            except StoreUnavailable as error:
                log.warning("a large result waits for the store", reason=str(error))
                await asyncio.sleep(PAUSE)
            else:
                return


def largest_payload(converter: DataConverter, max_payload_bytes: int) -> int:
    """Bytes, as JSON, that a payload may have: without a store for large ones, what Temporal takes."""
    return max_payload_bytes if converter.external_storage is not None else min(max_payload_bytes, INLINE_LIMIT)


def largest_input(converter: DataConverter, max_payload_bytes: int) -> int:
    """Bytes, in UTF-8, that the input of a run may have."""
    return max_payload_bytes if converter.external_storage is not None else min(max_payload_bytes, MAX_INPUT_BYTES)
