"""Where a command writes a file: a whole one, or none."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import UsageError

STDOUT = Path("-")
SUFFIX = ".part"

Write = Callable[[bytes], object]


@contextmanager
def written(place: Path) -> Iterator[Write]:
    """Gives what writes the bytes of a file, which gets its name once the block has ended well.

    What was there under the name is replaced. Only its owner may read the file.

    Args:
        place: of the file; `-`: standard output.

    Raises:
        UsageError: it cannot be written there.
    """
    if place == STDOUT:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    try:
        handle, temporary = tempfile.mkstemp(SUFFIX, f".{place.name}.", place.parent)
    except OSError as error:
        raise UsageError(f"{place} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(place)
    except OSError as error:
        raise UsageError(f"{place} could not be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
