"""Sandboxes: commands of models run apart from the worker, with limits."""

from holdfast.sandbox.limits import Limits
from holdfast.sandbox.sandbox import Mode, Sandbox

__all__ = ["Limits", "Mode", "Sandbox"]
