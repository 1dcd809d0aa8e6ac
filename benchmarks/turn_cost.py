"""Benchmark of the cost of a turn: `python benchmarks/turn_cost.py [--quick] [--json FILE]`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of this folder, whose modules are those of the package `benchmarks`
    from benchmarks.program import main

    sys.exit(main())
