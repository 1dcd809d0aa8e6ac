"""Program that copies standard input to standard output, and drops what cannot be written: `python relay.py`.

A native library that cannot write a message to standard error aborts the process. So the worker's standard error leads
here if it is a file, as a disk may be full. This is a process of its own, as the last words of a process that aborts
must not be lost.
"""

from __future__ import annotations

import os
from contextlib import suppress

CHUNK = 65_536  # bytes, as much as a pipe holds


def main() -> None:
    """Copies until all writers have closed the input."""
    while data := os.read(0, CHUNK):
        with suppress(OSError):
            while data:
                data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
