"""Export and import of everything that a database stores.

`holdfast.ops.transfer.parts` has the parts besides runs. It is not imported here, as it loads the database's client.
"""

from holdfast.ops.transfer.bundle import BundleWriter, Line, read_bundle
from holdfast.ops.transfer.formats import FORMATS, Format
from holdfast.ops.transfer.importing import Importer, inspect
from holdfast.ops.transfer.jsonl import JsonlExport
from holdfast.ops.transfer.part import Part, Tally
from holdfast.ops.transfer.record import RunRecord
from holdfast.ops.transfer.selection import Selection
from holdfast.ops.transfer.sources import HistorySource, MirrorSource, RunSource

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
