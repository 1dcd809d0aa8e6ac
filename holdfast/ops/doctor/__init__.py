"""Comparison of the mirror with Temporal's history, and its repair."""

from holdfast._util.concurrency import map_concurrently
from holdfast.ops.doctor.rebuild import Rebuilder, Rebuilt
from holdfast.ops.doctor.reconcile import Reconciler
from holdfast.ops.doctor.relatives import Relatives
from holdfast.ops.doctor.report import Report, Verdict, concerns_one_run
from holdfast.ops.doctor.run_finder import RunFinder
from holdfast.ops.doctor.verify import Verifier

__all__ = [
    "Rebuilder",
    "Rebuilt",
    "Reconciler",
    "Relatives",
    "Report",
    "RunFinder",
    "Verdict",
    "Verifier",
    "concerns_one_run",
    "map_concurrently",
]
