"""CBOR of the values that statements pass and return: the same bytes as the client's codec, in a third of the time.

The client's codec supports every type, through a dozen calls of Python per value. This one covers the types that rows
consist of, and leaves all others to the client's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isfinite
from struct import Struct
from types import NoneType
from typing import Any

from surrealdb import RecordID
from surrealdb.data import cbor as client_codec
from surrealdb.data.types import constants

UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = (major << 5 for major in range(8))
"""The major types, as the upper bits of an item's first byte. The lower five bits are its length, or say how long the
length is."""

ONE_BYTE, TWO_BYTES, FOUR_BYTES, EIGHT_BYTES = 24, 25, 26, 27
SHORT, LONG, LONGER = Struct(">BH"), Struct(">BI"), Struct(">BQ")
HALF, SINGLE, DOUBLE = Struct(">e"), Struct(">f"), Struct(">d")
FALSE, TRUE, NULL = 20, 21, 22
NONE = bytes((TAG | constants.TAG_NONE, SIMPLE | NULL))
FLOAT = bytes((SIMPLE | EIGHT_BYTES,))
RECORD = bytes((TAG | constants.TAG_RECORD_ID, ARRAY | 2))
DATETIME = bytes((TAG | constants.TAG_DATETIME,))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Write = Callable[[bytes], object]


def encode(value: Any) -> bytes:
    """Encodes a value.

    Raises:
        BufferError: the database does not support the type of a value.
        ValueError: a value cannot be encoded, such as text with lone surrogates.
        RecursionError: it is nested too deeply.
    """
    parts: list[bytes] = []
    _encode(value, parts.append)
    return b"".join(parts)


def decode(data: bytes) -> Any:
    """Decodes a value; tuples come back as lists."""
    try:
        return _decode(data, 0)[0]
    except _Unsupported:
        return client_codec.decode(data)


def _encode(value: Any, write: Write) -> None:
    ENCODERS.get(type(value), _encode_by_client)(value, write)


def _encode_by_client(value: Any, write: Write) -> None:
    write(client_codec.encode(value))


def _head(major: int, number: int) -> bytes:
    if number < ONE_BYTE:
        return bytes((major | number,))
    if number < 1 << 8:
        return bytes((major | ONE_BYTE, number))
    if number < 1 << 16:
        return SHORT.pack(major | TWO_BYTES, number)
    if number < 1 << 32:
        return LONG.pack(major | FOUR_BYTES, number)
    return LONGER.pack(major | EIGHT_BYTES, number)


def _encode_text(value: str, write: Write) -> None:
    data = value.encode()
    write(_head(TEXT, len(data)))
    write(data)


@lru_cache(4096)
def _encoded_key(key: str) -> bytes:
    """Returns the key of a map; the names of columns and values are the same in each statement."""
    data = key.encode()
    return _head(TEXT, len(data)) + data


def _encode_int(value: int, write: Write) -> None:
    if not -(1 << 64) <= value < 1 << 64:
        _encode_by_client(value, write)
    else:
        write(_head(UINT, value) if value >= 0 else _head(NEGATIVE, -1 - value))


def _encode_bool(value: bool, write: Write) -> None:
    write(bytes((SIMPLE | (TRUE if value else FALSE),)))


def _encode_float(value: float, write: Write) -> None:
    if isfinite(value):
        write(FLOAT + DOUBLE.pack(value))
    else:
        _encode_by_client(value, write)


def _encode_none(_value: None, write: Write) -> None:
    write(NONE)


def _encode_list(value: Sequence[Any], write: Write) -> None:
    write(_head(ARRAY, len(value)))
    for item in value:
        ENCODERS.get(type(item), _encode_by_client)(item, write)


def _encode_map(value: Mapping[Any, Any], write: Write) -> None:
    write(_head(MAP, len(value)))
    for key, item in value.items():
        if type(key) is str:
            write(_encoded_key(key))
        else:
            _encode(key, write)
        ENCODERS.get(type(item), _encode_by_client)(item, write)


def _encode_record(value: RecordID, write: Write) -> None:
    write(RECORD)
    _encode_text(value.table_name, write)
    _encode(value.id, write)


def _encode_datetime(value: datetime, write: Write) -> None:
    if value.tzinfo is not UTC:
        _encode_by_client(value, write)
        return
    write(DATETIME)
    _encode_text(f"{value.replace(tzinfo=None).isoformat()}Z", write)


ENCODERS: dict[type, Callable[[Any, Write], None]] = {
    str: _encode_text,
    int: _encode_int,
    float: _encode_float,
    bool: _encode_bool,
    NoneType: _encode_none,
    list: _encode_list,
    tuple: _encode_list,
    dict: _encode_map,
    RecordID: _encode_record,
    datetime: _encode_datetime,
}


class _Unsupported(Exception):
    """The data contains an item that only the client's codec decodes."""


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    """Returns the item that begins at `at`, and where the next one begins."""
    major, number = data[at] & 0b111_00000, data[at] & 0b000_11111
    at += 1
    if number >= ONE_BYTE and major != SIMPLE:
        if number > EIGHT_BYTES:
            raise _Unsupported
        width = 1 << (number - ONE_BYTE)
        number, at = int.from_bytes(data[at : at + width]), at + width
    if major == TEXT:
        return data[at : at + number].decode(), at + number
    return DECODERS[major](number, data, at)


def _decode_simple(number: int, data: bytes, at: int) -> tuple[Any, int]:
    if number in CONSTANTS:
        return CONSTANTS[number], at
    if number in FLOATS:
        floating = FLOATS[number]
        return floating.unpack_from(data, at)[0], at + floating.size
    raise _Unsupported


def _decode_map(number: int, data: bytes, at: int) -> tuple[dict[Any, Any], int]:
    items = {}
    for _ in range(number):
        key, at = _decode(data, at)
        items[key], at = _decode(data, at)
    return items, at


def _decode_list(number: int, data: bytes, at: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(number):
        item, at = _decode(data, at)
        items.append(item)
    return items, at


def _decode_tag(number: int, data: bytes, at: int) -> tuple[Any, int]:
    if number not in TAGS:
        raise _Unsupported
    value, at = _decode(data, at)
    return TAGS[number](value), at


def _datetime(value: list[int]) -> datetime:
    seconds, nanoseconds = value
    return EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)


DECODERS: dict[int, Callable[[int, bytes, int], tuple[Any, int]]] = {
    UINT: lambda number, _data, at: (number, at),
    NEGATIVE: lambda number, _data, at: (-1 - number, at),
    BYTES: lambda number, data, at: (data[at : at + number], at + number),
    ARRAY: _decode_list,
    MAP: _decode_map,
    TAG: _decode_tag,
    SIMPLE: _decode_simple,
}
CONSTANTS = {FALSE: False, TRUE: True, NULL: None}
FLOATS = {TWO_BYTES: HALF, FOUR_BYTES: SINGLE, EIGHT_BYTES: DOUBLE}
TAGS: dict[int, Callable[[Any], Any]] = {
    constants.TAG_DATETIME: datetime.fromisoformat,
    constants.TAG_NONE: lambda _value: None,
    constants.TAG_RECORD_ID: lambda value: RecordID(*value),
    constants.TAG_DATETIME_COMPACT: _datetime,
}
