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
from holdfast.names import SCRIPTED_MODEL
from holdfast.settings import Settings
from holdfast.stack import server, sockets
from holdfast.stack import worker as workers
from holdfast.stack.comparison import compare, outdated_model
from holdfast.stack.locks import is_locked
from holdfast.stack.part_locks import PartName
from holdfast.stack.state import Part, StackState, StateFile
from holdfast.stack.supervision import Supervision
from holdfast.stack.ui import ui_url
from holdfast.temporal.connection import pollers
from holdfast.types import Data

EMBEDDED = "surrealkv://"
CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


class PartStatus(Data):
    """One part of the stack."""

    name: PartName
    state: Literal["running", "restarting", "stopped", "unreachable"]
    """`unreachable`: its process runs or its address is configured, but it does not answer; a worker does not poll.
    `restarting`: it has ended, and the supervisor starts it again."""
    pid: int | None = None
    """`None` if it is not running, or runs elsewhere."""
    address: str | None = None
    ui: str | None = None
    version: str | None = None
    log: Path | None = None
    since: AwareDatetime | None = None
    restarts: int = 0
    """How often the supervisor has started it again."""
    trouble: str | None = None
    """That it keeps ending, in words."""


class StackStatus(Data):
    """Status of all parts."""

    parts: list[PartStatus]
    """Temporal, the scripted model server (if no model is configured), the worker."""
    supervisor: PartStatus
    """The process that starts parts again."""
    differences: list[str]
    """Names of settings in which the running worker differs from this process."""
    changed_files: list[Path]
    """Source files of which the running worker serves an older version."""
    outdated_model: str | None
    """Why the running scripted model server does not answer as the code on disk would; `None` if it does."""
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
    home = settings.holdfast_home.absolute()
    state = StateFile(home).read()
    supervision = Supervision(home, state)
    temporal, seen = await _temporal(settings, state)
    parts = [temporal, _worker(state.alive("worker"), seen)]
    if not settings.has_model:
        parts.insert(1, _model(state.alive("model")))
    compared = compare(settings)
    return StackStatus(
        parts=[_supervised(part, state, supervision) for part in parts],
        supervisor=_described("supervisor", state.alive("supervisor")),
        differences=compared.differences if compared else [],
        changed_files=compared.changed_files if compared else [],
        outdated_model=compared.outdated_model if compared else outdated_model(settings, state),
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
        found_pollers = await pollers(client, settings.temporal_task_queue)
        seen = [poller.identity for poller in found_pollers if workers.may_run(poller.identity)]
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
    if part and workers.identity(part.pid) not in seen:
        return found.model_copy(update={"state": "unreachable"})
    return found


def _supervised(found: PartStatus, state: StackState, supervision: Supervision) -> PartStatus:
    """Adds what the supervisor does about a part."""
    part, report = state.parts.get(found.name), supervision.report().get(found.name)
    if part is None or not part.wanted or not supervision.is_active:
        return found
    more: dict[str, object] = {}
    if report is not None:
        more |= {"restarts": report.restarts, "trouble": supervision.trouble(found.name)}
    if found.state == "stopped":
        more |= {"state": "restarting", "log": part.log}
    return found.model_copy(update=more)


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
