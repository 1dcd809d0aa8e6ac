"""How values become Temporal payloads: JSON by pydantic, without the fields that nobody set."""

from __future__ import annotations

from dataclasses import replace

from temporalio.contrib.pydantic import PydanticPayloadConverter, ToJsonOptions
from temporalio.converter import CompositePayloadConverter, DataConverter

# Made once: the SDK makes a payload converter for each task, and each would build its serialisers anew.
_ENCODINGS = tuple(PydanticPayloadConverter(ToJsonOptions(exclude_unset=True)).converters.values())


class HoldfastPayloadConverter(CompositePayloadConverter):
    """JSON by pydantic; unset fields are left out, which halves the bytes that a turn leaves in history."""

    def __init__(self) -> None:
        super().__init__(*_ENCODINGS)


DATA_CONVERTER = replace(DataConverter.default, payload_converter_class=HoldfastPayloadConverter)
"""The one converter that clients and workers share."""
