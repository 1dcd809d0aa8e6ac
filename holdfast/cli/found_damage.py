"""Damage to the embedded database that was found when it was opened, for people."""

from __future__ import annotations

from pathlib import Path

from holdfast.settings import Settings


def found_damages(settings: Settings) -> list[str]:
    """Returns what was lost, for each damaged file that is still kept; reads a folder and opens no database."""
    scheme, _, place = settings.store_url.partition("://")
    if scheme != "surrealkv":
        return []
    from holdfast.storage.database.damage import damages  # noqa: PLC0415 - `--help` needs no database client

    return [f"{damage}. This notice ends when you delete its folder." for damage in damages(Path(place))]
