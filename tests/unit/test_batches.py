"""Batches of items."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast._util.batches import batches


@given(st.lists(st.text(max_size=9)), st.none() | st.integers(1, 4), st.none() | st.integers(1, 12))
def test_batches_hold_everything_in_order(items: list[str], most: int | None, size: int | None) -> None:
    """Each list is as long as the limits allow; an item that exceeds the size by itself is alone."""
    found = list(batches(items, most=most, size=size, measure=len))
    assert [item for batch in found for item in batch] == items
    for place, batch in enumerate(found):
        following = found[place + 1] if place + 1 < len(found) else None
        length, total = len(batch), sum(map(len, batch))
        assert most is None or length <= most
        assert size is None or total <= size or length == 1
        if following:
            assert length == most or (size is not None and total + len(following[0]) > size)
