"""The local stack: a Temporal server, the scripted model server and a worker, kept running in the background."""

from holdfast.stack.address import local_address
from holdfast.stack.stack import Stack, down, kill, start_worker, up
from holdfast.stack.state import Part
from holdfast.stack.status import PartStatus, StackStatus, status
from holdfast.stack.ui import ui_url
from holdfast.temporal.visibility import SEARCH_ATTRIBUTES

__all__ = [
    "SEARCH_ATTRIBUTES",
    "Part",
    "PartStatus",
    "Stack",
    "StackStatus",
    "down",
    "kill",
    "local_address",
    "start_worker",
    "status",
    "ui_url",
    "up",
]
