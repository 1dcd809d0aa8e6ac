"""Process of the stack's scripted model server: `model_process HOME --host HOST --port PORT`.

It records which code it has loaded, so that `up` can replace it when that changes.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from holdfast.scripted import model
from holdfast.stack.part_locks import started_ns
from holdfast.stack.serving import Serving, file_of

if __name__ == "__main__":
    with suppress(OSError):  # a full disk: it answers all the same
        Serving.of_this_process((), (), started_ns()).write(file_of(Path(sys.argv[1]), "model"))
    sys.exit(model.main(sys.argv[2:]))
