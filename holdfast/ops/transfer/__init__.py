"""Takes what is kept out of a database, brings it into another, and drops what is old.

What stands in the database beside runs is in `holdfast.transfer.parts`, not imported here: it loads the database's
client.
"""

from holdfast.transfer.bundle import BundleWriter, Line, read_bundle
from holdfast.transfer.formats import FORMATS, Format
from holdfast.transfer.importing import Importer, inspect
from holdfast.transfer.jsonl import JsonlExport
from holdfast.transfer.part import Part, Tally
from holdfast.transfer.record import RunRecord
from holdfast.transfer.selection import Selection
from holdfast.transfer.sources import HistorySource, MirrorSource, RunSource

__all__ = [
    "FORMATS",
    "BundleWriter",
    "Format",
    "HistorySource",
    "Importer",
    "JsonlExport",
    "Line",
    "MirrorSource",
    "Part",
    "RunRecord",
    "RunSource",
    "Selection",
    "Tally",
    "inspect",
    "read_bundle",
]
