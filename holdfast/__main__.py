"""`python -m holdfast`: the command line."""

import os
import sys

if __name__ == "__main__":
    # Python searches the current folder first, where a file such as `json.py` would take the place of Python's own. The
    # installed command does not search it, and what HOLDFAST_AGENTS names is found there all the same.
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - loads nothing
        del sys.path[0]

    from holdfast.cli import main

    sys.exit(main())
