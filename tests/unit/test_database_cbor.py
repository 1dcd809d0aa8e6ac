"""CBOR of the values that statements pass and return, compared with the codec of the database's client."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surrealdb import Duration, RecordID, Table
from surrealdb.cbor import CBORTag, dumps
from surrealdb.data import cbor as client_codec

from holdfast.storage.database import cbor

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
    | st.text(min_size=20, max_size=300)
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.one_of(
        st.lists(values),
        st.lists(values).map(tuple),
        st.dictionaries(st.text() | st.integers(), values),
        st.builds(RecordID, st.text(min_size=1), st.lists(values) | st.text()),
    ),
    max_leaves=20,
)


@given(VALUES)
def test_bytes_and_values_equal_the_clients(value: Any) -> None:
    """Values are encoded to the bytes of the client's codec, and decoded to its values."""
    data = cbor.encode(value)
    assert data == client_codec.encode(value)
    assert cbor.decode(data) == client_codec.decode(data)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 70_000,
        list(range(300)),
        decimal.Decimal("1.50"),
        date(2026, 1, 2),
        datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - what a naive time becomes is part of the format
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))),
        UUID(int=7),
        {1, 2},
        Duration.parse("3s"),
        Table("run"),
        True,
    ],
    ids=lambda value: type(value).__name__,
)
def test_rare_types_equal_the_clients(value: Any) -> None:
    """Types that rows rarely contain, and long values, are encoded as by the client, inside other values too."""
    for each in (value, {"a": [value, None]}):
        data = cbor.encode(each)
        assert data == client_codec.encode(each)
        assert repr(cbor.decode(data)) == repr(client_codec.decode(data))


@pytest.mark.parametrize(
    "data",
    [
        dumps(CBORTag(12, [1_760_000_000, 123_456_789])),
        dumps(CBORTag(14, [3, 5])),
        dumps(CBORTag(6, None)),
        bytes.fromhex("f93c00"),  # a half-precision float
        bytes.fromhex("fa47c35000"),  # a single-precision float
        bytes.fromhex("9f0102ff"),  # an array without a length
    ],
    ids=["datetime", "duration", "none", "half", "single", "indefinite"],
)
def test_what_the_engine_sends_is_decoded_as_by_the_client(data: bytes) -> None:
    """Forms that only the engine writes are decoded as by the client."""
    assert repr(cbor.decode(data)) == repr(client_codec.decode(data))


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "error"),
    [(object(), BufferError), ("\ud800", ValueError), (_nested(5000), RecursionError)],
    ids=["type", "surrogate", "depth"],
)
def test_what_cannot_be_encoded_raises(value: Any, error: type[Exception]) -> None:
    """A value that the database cannot store raises an error, before anything is sent."""
    with pytest.raises(error):
        cbor.encode({"value": value})
