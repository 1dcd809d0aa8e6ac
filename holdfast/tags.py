"""Tags of runs, in the form in which Temporal indexes them."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.bounds import indexed

MAX_INDEXED = 20
"""Tags of one run that can be searched for; the others are only stored with it."""


def indexed_tags(tags: Mapping[str, str]) -> list[str]:
    """Returns the values of search attribute `AgentTags`: `team=search` for each tag."""
    return [indexed(f"{name}={value}") for name, value in list(tags.items())[:MAX_INDEXED]]
