"""Publications as rows of the tables `bus` and `bus_topic`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from surrealdb import RecordID

from holdfast.storage.bus.log import Publication

Row = dict[str, Any]


def topic_id(topic: str) -> RecordID:
    """Returns the id of a topic's row."""
    return RecordID("bus_topic", topic)


def topic_rows(publications: Sequence[Publication]) -> list[Row]:
    """Returns one row per topic, because a transaction must write each row only once.

    `count` is the number of offsets to assign. `trailing` is the number of ephemeral events after the last lasting one;
    negative without a lasting one.
    """
    rows: dict[str, Row] = {}
    for each in publications:
        row = rows.setdefault(each.topic, {"row": topic_id(each.topic), "count": 0, "trailing": -1})
        row["count"] += len(each.texts)
        if not each.ephemeral:
            row["trailing"] = 0
        elif row["trailing"] >= 0:
            row["trailing"] += len(each.texts)
    return list(rows.values())


def event_rows(publications: Sequence[Publication], topics: Sequence[Row], seal: Callable[[str], str]) -> list[Row]:
    """Returns one row per event; `behind` is the number of events that follow in its topic."""
    left = {row["row"].id: row["count"] for row in topics}
    rows: list[Row] = []
    for each in publications:
        for number, text in enumerate(each.texts, start=1):
            left[each.topic] -= 1
            row = {"topic": each.topic, "row": topic_id(each.topic), "behind": left[each.topic]}
            row |= {"text": seal(text), "ephemeral": each.ephemeral}
            if number == len(each.texts):
                row["key"] = each.mark
            rows.append(row)
    return rows


def pruned_rows(rows: Sequence[Row]) -> list[Row]:
    """Returns the highest offset of the lasting events among `rows`, for each topic."""
    upto: dict[str, int] = {}
    for row in rows:
        topic, offset = row["id"].id
        if not row["ephemeral"]:
            upto[topic] = max(upto.get(topic, 0), offset)
    return [{"row": topic_id(topic), "upto": offset} for topic, offset in upto.items()]
