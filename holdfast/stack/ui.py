"""Addresses of Temporal's UI."""

from __future__ import annotations

from urllib.parse import quote

from holdfast.settings import Settings
from holdfast.stack.sockets import LOOPBACK
from holdfast.stack.state import StateFile
from holdfast.types import RunId

CODEC_PORT = 8089


def codec_endpoint(port: int = CODEC_PORT) -> str:
    """Returns the URL at which `codec` serves Temporal's UI."""
    return f"http://{LOOPBACK}:{port}"


def ui_url(settings: Settings, run_id: RunId | None = None) -> str | None:
    """Returns the URL of Temporal's UI for one run, or for all.

    It is `None` if Temporal is not the local stack's, or the stack is not running.
    """
    state = StateFile(settings.holdfast_home.absolute()).read()
    temporal = state.alive("temporal")
    if temporal is None or settings.temporal_address not in (None, temporal.address):
        return None
    workflows = f"http://{LOOPBACK}:{state.ports['ui']}/namespaces/{quote(settings.temporal_namespace)}/workflows"
    return workflows if run_id is None else f"{workflows}/{quote(run_id, safe='')}"
