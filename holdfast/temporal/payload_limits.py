"""Size and privacy limits of activity results."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from holdfast._util.logger import get_logger
from holdfast.errors import StoreUnavailable
from holdfast.model_reply import ModelReply
from holdfast.temporal.routing import INLINE_LIMIT
from holdfast.types import MAX_INPUT_BYTES, ToolResult

log = get_logger(__name__)

SMALL_CHARS = 16_384  # a character is at most 6 bytes of JSON, so this is below every limit
PAUSE = 2.0  # seconds between attempts to store a result while the store is unavailable


class PayloadLimits:
    """Limits of the payloads that a worker's activities return.

    Args:
        converter: the worker's converter.
        max_payload_bytes: largest payload, if there is a store for large payloads.
    """

    def __init__(self, converter: DataConverter, max_payload_bytes: int) -> None:
        self._converter = converter
        self.max_bytes = largest_payload(converter, max_payload_bytes)
        self.max_input_bytes = largest_input(converter, max_payload_bytes)

    @property
    def is_private(self) -> bool:
        """Whether payloads are encrypted, so that their content must not appear in plain text elsewhere."""
        return self._converter.payload_codec is not None

    def excess(self, value: ModelReply | ToolResult) -> int | None:
        """Returns the size of a value in bytes of JSON if it exceeds the limit, else `None`."""
        if _is_small(value):
            return None
        size = _json_size(value)
        return size if size > self.max_bytes else None

    async def pack(self, result: ToolResult) -> bytes:
        """Returns a result as Temporal would store it: encrypted if there is a key, by reference if it is large.

        Raises:
            StoreUnavailable: it is large, and the store is unavailable.
        """
        [payload] = await self._converter.encode([result])
        return payload.SerializeToString()

    async def unpack(self, packed: bytes) -> ToolResult:
        """Returns the result that `pack` packed.

        Raises:
            StoreUnavailable: it is large, and the store is unavailable.
            PayloadUnreadable: its key is missing.
        """
        [result] = await self._converter.decode([Payload.FromString(packed)], [ToolResult])
        return ToolResult.model_validate(result)

    async def settle(self, value: ModelReply | ToolResult) -> None:
        """Stores the chunks of a large value, and retries until the store is available.

        The SDK stores a result after the activity's last heartbeat, so an unavailable store would lose it. Storing
        a result twice is cheap, as its chunks exist the second time.
        """
        if _is_small(value) or _json_size(value) <= INLINE_LIMIT:
            return
        while True:
            try:
                await self._converter.encode([value])
            except StoreUnavailable as error:
                log.warning("a large result waits until the store is available", reason=str(error))
                await asyncio.sleep(PAUSE)
            else:
                return


def _is_small(value: ModelReply | ToolResult) -> bool:
    """Whether a value is certainly within any limit, determined without serializing it."""
    if isinstance(value, ToolResult):
        chars = len(value.content) + len(value.error or "") + sum(map(len, value.files))
    elif value.provider_fields or any(call.provider_fields for call in value.tool_calls):
        return False
    else:
        chars = len(value.content)
        chars += sum(len(call.id) + len(call.name) + len(call.arguments) for call in value.tool_calls)
    return chars < SMALL_CHARS


def _json_size(value: BaseModel) -> int:
    return len(value.__pydantic_serializer__.to_json(value, exclude_unset=True))


def largest_payload(converter: DataConverter, max_payload_bytes: int) -> int:
    """Returns the largest payload in bytes of JSON; without a store for large ones it is Temporal's limit."""
    return max_payload_bytes if converter.external_storage is not None else min(max_payload_bytes, INLINE_LIMIT)


def largest_input(converter: DataConverter, max_payload_bytes: int) -> int:
    """Returns the largest input of a run in bytes of UTF-8."""
    return max_payload_bytes if converter.external_storage is not None else min(max_payload_bytes, MAX_INPUT_BYTES)
