"""Status of the stack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.errors import TemporalUnavailable
from holdfast.settings import SCRIPTED_MODEL, Settings
from holdfast.stack import server, sockets
from holdfast.stack.locks import is_locked
from holdfast.stack.state import Part, PartName, StackState, StateFile
from holdfast.stack.ui import ui_url
from holdfast.stack.worker import identity
from holdfast.temporal.connection import pollers
from holdfast.types import Data

EMBEDDED = "surrealkv://"
CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


class PartStatus(Data):
    """One part of the stack."""

    name: PartName
    state: Literal["running", "stopped", "unreachable"]
    """`unreachable`: its process runs or its address is configured, but it does not answer; a worker does not poll."""
    pid: int | None = None
    """`None` if it is not running, or runs elsewhere."""
    address: str | None = None
    ui: str | None = None
    version: str | None = None
    log: Path | None = None
    since: AwareDatetime | None = None


class StackStatus(Data):
    """Status of all parts."""

    parts: list[PartStatus]
    """Temporal, the scripted model server (if no model is configured), the worker."""
    namespace: str
    task_queue: str
    pollers: list[str]
    """Identities of all workers that polled the task queue in the last minutes."""
    store_url: str
    """URL of the store, without credentials."""
    store_locked: bool | None
    """Whether a process has the embedded database open; `None` if it is not embedded."""
    model: str
    """The default model."""
    scripted: bool
    """Whether the default model is the scripted one, not a language model."""


async def status(settings: Settings) -> StackStatus:
    """Checks every part; an unavailable part is a status, not an error."""
    state = StateFile(settings.holdfast_home.absolute()).read()
    temporal, seen = await _temporal(settings, state)
    parts = [temporal, _worker(state.alive("worker"), seen)]
    if not settings.has_model:
        parts.insert(1, _model(state.alive("model")))
    return StackStatus(
        parts=parts,
        namespace=settings.temporal_namespace,
        task_queue=settings.temporal_task_queue,
        pollers=seen,
        store_url=CREDENTIALS.sub("", settings.store_url),
        store_locked=_is_store_locked(settings.store_url),
        model=settings.default_model if settings.has_model else SCRIPTED_MODEL,
        scripted=not settings.has_model,
    )


async def _temporal(settings: Settings, state: StackState) -> tuple[PartStatus, list[str]]:
    part = None if settings.temporal_address else state.alive("temporal")
    address = settings.temporal_address or (part.address if part else None)
    if address is None:
        return PartStatus(name="temporal", state="stopped"), []
    found = _described("temporal", part).model_copy(update={"address": address, "ui": ui_url(settings)})
    try:
        client = await server.connect(address, settings.temporal_namespace)
        version = await _version(client)
        seen = [poller.identity for poller in await pollers(client, settings.temporal_task_queue)]
    except (TemporalUnavailable, RPCError):
        return found.model_copy(update={"state": "unreachable"}), []
    return found.model_copy(update={"state": "running", "version": version}), seen


async def _version(client: Client) -> str:
    return (await client.workflow_service.get_system_info(GetSystemInfoRequest())).server_version


def _model(part: Part | None) -> PartStatus:
    found = _described("model", part)
    if part and part.address and not sockets.answers(int(part.address.rpartition(":")[2])):
        return found.model_copy(update={"state": "unreachable"})
    return found


def _worker(part: Part | None, seen: list[str]) -> PartStatus:
    found = _described("worker", part)
    if part and identity(part.pid) not in seen:
        return found.model_copy(update={"state": "unreachable"})
    return found


def _described(name: PartName, part: Part | None) -> PartStatus:
    if part is None:
        return PartStatus(name=name, state="stopped")
    return PartStatus(
        name=name, state="running", pid=part.pid, address=part.address, version=part.version,
        log=part.log, since=part.since,
    )  # fmt: skip


def _is_store_locked(url: str) -> bool | None:
    if not url.startswith(EMBEDDED):
        return None
    database = Path(url.removeprefix(EMBEDDED)).resolve()
    return is_locked(database.with_name(f"{database.name}.lock"))  # see holdfast.storage.database.lock
