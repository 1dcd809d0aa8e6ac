"""Holds the mirror against Temporal's history, and makes good what differs."""

from holdfast.doctor.census import Census
from holdfast.doctor.crowd import side_by_side
from holdfast.doctor.rebuild import Rebuilder, Rebuilt
from holdfast.doctor.reconcile import Reconciler
from holdfast.doctor.report import Report, Verdict
from holdfast.doctor.verify import Verifier

__all__ = ["Census", "Rebuilder", "Rebuilt", "Reconciler", "Report", "Verdict", "Verifier", "side_by_side"]
