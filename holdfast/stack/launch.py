"""Runs a module of this package from anywhere: `python -P launch.py MODULE ARGUMENTS`.

The folder that holds the package comes last in the module search path. In a checkout that folder also holds packages
named `workflows`, `activities` and `tests`, which must not hide packages of those names that a user has written or
installed. PYTHONPATH could not do this: it comes before installed packages, and every child process inherits it.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    package_parent = str(Path(__file__).absolute().parents[2])
    if package_parent not in sys.path:
        sys.path.append(package_parent)

    from holdfast.stack.part_locks import keep_claim_to_this_process  # it also notes when this process started

    keep_claim_to_this_process()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
