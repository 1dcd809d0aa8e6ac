# What the package offers to others. `holdfast/stack/__init__.py` loads each name from here when it is first used.
from .address import local_address as local_address
from .code_watch import changed_code as changed_code
from .comparison import WorkerComparison as WorkerComparison
from .comparison import compare as compare
from .launcher import Replace as Replace
from .server import add_search_attributes as add_search_attributes
from .stack import Stack as Stack
from .stack import await_comeback as await_comeback
from .stack import down as down
from .stack import kill as kill
from .stack import start_worker as start_worker
from .stack import supervise as supervise
from .stack import up as up
from .stack_status import PartStatus as PartStatus
from .stack_status import StackStatus as StackStatus
from .stack_status import status as status
from .state import Part as Part
from .ui import ui_url as ui_url

__all__ = [
    "Part",
    "PartStatus",
    "Replace",
    "Stack",
    "StackStatus",
    "WorkerComparison",
    "add_search_attributes",
    "await_comeback",
    "changed_code",
    "compare",
    "down",
    "kill",
    "local_address",
    "start_worker",
    "status",
    "supervise",
    "ui_url",
    "up",
]
