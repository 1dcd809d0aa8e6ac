"""Background worker of the stack: its start, and detection of changed settings."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.errors import WorkerUnavailable
from holdfast.names import SCRIPTED_MODEL
from holdfast.scripted.hashing import HASHING_MODEL
from holdfast.settings import Settings
from holdfast.stack import process
from holdfast.stack.part_locks import CLAIM_VARIABLE, PartLock
from holdfast.stack.serving import FILE_VARIABLE
from holdfast.stack.state import Part, log_path
from holdfast.temporal.connection import pollers

START_TIMEOUT = 120.0  # seconds until a new worker must poll; it takes one to three, and longer on a busy machine
POLL_TIMEOUT = 30.0  # seconds until Temporal must see a running worker poll
POLL_INTERVAL = 0.05  # seconds between requests to the server
IDENTITY_PREFIX = "holdfast-worker-"
MODEL_SERVER = "scripted model server"
FOLDER = "current folder"  # where modules of HOLDFAST_AGENTS and workspaces are
FINGERPRINT_LENGTH = 12  # hex digits; enough to detect a change, too few to recover a secret


def command() -> list[str]:
    """Returns the command that runs a worker."""
    return process.module_command("holdfast.worker")


def identity(pid: int) -> str:
    """Returns the name in Temporal of the worker with this pid on this machine."""
    return f"{IDENTITY_PREFIX}{pid}@{socket.gethostname()}"


def may_run(name: str) -> bool:
    """Returns whether a worker of this name may be running; `False` means that its process on this machine has ended.

    Temporal lists a worker that was killed for some minutes.
    """
    pid, _, host = name.removeprefix(IDENTITY_PREFIX).partition("@")
    if not name.startswith(IDENTITY_PREFIX) or host != socket.gethostname() or not pid.isdigit():
        return True
    return process.birth(int(pid)) is not None


def environment(settings: Settings, address: str, model_url: str | None) -> dict[str, str]:
    """Returns the worker's environment: that of this process, with the settings of this process as variables.

    Args:
        settings: settings of the worker.
        address: address of Temporal.
        model_url: URL of the scripted model server; `None` if a model is configured.
    """
    variables = dict(os.environ)
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if value in (None, "", ()):
            variables.pop(name.upper(), None)
        else:
            variables[name.upper()] = _plain(value)
    if settings.temporal_address is None:  # the local server has neither TLS nor keys, which these are for
        variables = {name: value for name, value in variables.items() if not name.startswith("TEMPORAL_")}
        variables |= {"TEMPORAL_NAMESPACE": settings.temporal_namespace, "TEMPORAL_CONFIG_FILE": os.devnull}
        variables["TEMPORAL_TASK_QUEUE"] = settings.temporal_task_queue
    variables |= {"TEMPORAL_ADDRESS": address, "HOLDFAST_HOME": str(settings.holdfast_home.absolute())}
    for name in (CLAIM_VARIABLE, FILE_VARIABLE):
        variables.pop(name, None)
    if model_url is not None:
        variables |= {"HOLDFAST_SCRIPTED": "1", "OPENAI_BASE_URL": model_url, "OPENAI_MODEL": SCRIPTED_MODEL}
        variables.setdefault("EMBEDDING_MODEL", HASHING_MODEL)
    return variables


def fingerprint(settings: Settings, program: Sequence[str], address: str, model_url: str | None) -> dict[str, str]:
    """Returns hashes of everything that a worker is started with, so that secrets are not stored."""
    facts = {name.upper(): _plain(getattr(settings, name) or "") for name in type(settings).model_fields}
    facts |= {
        "TEMPORAL_ADDRESS": address,
        "SURREALDB_URL": settings.store_url,
        "HOLDFAST_HOME": str(settings.holdfast_home.absolute()),
        MODEL_SERVER: model_url or "",
        "worker program": "\0".join([_interpreter(program[0]), *program[1:], str(process.PACKAGE_PARENT)]),
        FOLDER: str(Path.cwd()) if settings.holdfast_agents or not settings.workspace_roots else "",
    }
    return {name: hashlib.sha256(fact.encode()).hexdigest()[:FINGERPRINT_LENGTH] for name, fact in facts.items()}


def _interpreter(path: str) -> str:
    """Returns what identifies an interpreter: a virtual environment has it as `python`, `python3` and `python3.11`."""
    return f"{Path(path).parent}\0{Path(path).resolve()}" if Path(path).is_absolute() else path


def changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Returns the names of the values that differ between two fingerprints."""
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return sorted(changed - {FOLDER} if changed & {"HOLDFAST_AGENTS", "WORKSPACE_ROOTS"} else changed)


def _plain(value: object) -> str:
    """Returns a setting as the value of its environment variable."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, timedelta):
        return f"{value.days}d" if value.seconds == 0 else f"{value.total_seconds():.0f}s"
    if isinstance(value, dict | list):
        return json.dumps(value, default=lambda model: model.model_dump(exclude_none=True))
    return str(value)


def spawn(
    program: Sequence[str], home: Path, variables: Mapping[str, str], lock: PartLock, fingerprint: Mapping[str, str]
) -> Part:
    """Starts the worker in the background, in the current folder, which may have the modules of its agents."""
    log, folder = log_path(home, "worker"), Path.cwd()
    pid = process.spawn(program, log, {**variables, **lock.variables}, folder=folder, keep=[lock.descriptor])
    part = Part.started("worker", pid, log, command=program, folder=folder, fingerprint=fingerprint)
    lock.record(part.model_dump(mode="json"))
    return part


async def ready(part: Part, client: Client, task_queue: str, timeout: float, log_start: int = 0) -> None:
    """Waits until Temporal sees the worker poll.

    Raises:
        WorkerUnavailable: it ended, or did not poll in time; the message contains the end of its log.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not await _polls(part, client, task_queue):
        if not part.is_alive:
            raise WorkerUnavailable(_failure(part, "ended", log_start))
        if loop.time() >= deadline:
            fate = f"does not poll task queue {task_queue!r} after {timeout:.0f} s"
            raise WorkerUnavailable(_failure(part, fate, log_start))
        await asyncio.sleep(POLL_INTERVAL)


async def _polls(part: Part, client: Client, task_queue: str) -> bool:
    try:
        return identity(part.pid) in {poller.identity for poller in await pollers(client, task_queue)}
    except RPCError:  # a server that has just restarted refuses requests for a moment
        return False


def _failure(part: Part, fate: str, log_start: int) -> str:
    return f"the worker {fate}; its log, {part.log}, ends:\n{process.tail(part.log, log_start)}"
