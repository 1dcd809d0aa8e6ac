"""Process that starts a part of the stack again when it has ended unasked: `python -m holdfast.stack.supervisor HOME`.

It has the environment of the worker, with which it starts the parts as `stack.json` describes them. A part that it
finds running is supervised too, whoever has started it. It changes nothing while a command holds `stack.lock`, and
starts only parts that are `wanted`, so it never interferes with `up`, `restart` and `down`.

It also replaces a Temporal server that runs, but can no longer use its database.

It loads nothing but the standard library, and takes some 12 MB of memory.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast._util.private_files import write_private
from holdfast.errors import HoldfastError
from holdfast.stack import process
from holdfast.stack.locks import try_lock
from holdfast.stack.part_locks import TITLES, PartName, claimed, holder
from holdfast.stack.server_health import ServerHealth

INTERVAL = 0.2 if Path("/proc/self/stat").exists() else 1.0  # seconds between looks; `ps` costs more than /proc
RECOVERED = 20.0  # seconds after which a part that has been started again counts as sound
FIRST_PAUSE = 1.0  # seconds before the second start in a row; the first one follows at once, later pauses double
LONGEST_PAUSE = 30.0  # seconds

SUPERVISED: tuple[PartName, ...] = ("temporal", "model", "worker")
FILE = "supervisor.json"


@dataclass
class Record:
    """What the supervisor has done about one part, as others read it in `supervisor.json`."""

    restarts: int = 0
    """Since the supervisor started."""
    ends: int = 0
    """How often the part has ended without having recovered in between."""
    since: str | None = None
    """When the first of these was."""
    next_start: str | None = None
    """When the part is started again; `None` if it is running."""


class Supervisor:
    """Supervises the parts of one state folder.

    Args:
        home: the state folder.
        health: of the Temporal server.
    """

    def __init__(self, home: Path, health: ServerHealth | None = None) -> None:
        self._home = home
        self._health = health or ServerHealth()
        self._state: dict[str, Any] = {}
        self._records: dict[PartName, Record] = {name: Record() for name in SUPERVISED}
        self._due: dict[PartName, float] = {}
        """Ended parts, with the moment of their next start, by the monotonic clock."""

    def run(self) -> None:
        """Supervises until the state folder disappears."""
        self._publish()
        while self._home.is_dir():
            self.look()
            time.sleep(INTERVAL)

    def look(self) -> None:
        """Looks at each part once, and starts what is due."""
        self._read()
        for name in SUPERVISED:
            part = self._part(name)
            if part is None or process.is_alive(part["pid"], part["born"]):
                self._see_running(name, part)
                if part is not None and name == "temporal":
                    self._check_health(part)
            elif name not in self._due:
                self._see_ended(name, part)
            elif time.monotonic() >= self._due[name]:
                self._restart(name)

    def _read(self) -> None:
        with suppress(OSError, ValueError):  # a lost or damaged file: what was read last holds
            found = json.loads((self._home / "stack.json").read_bytes())
            if isinstance(found, dict) and isinstance(found.get("parts"), dict):
                self._state = found

    def _part(self, name: PartName) -> dict[str, Any] | None:
        """Returns what is known of a part that is supposed to run."""
        part = self._state.get("parts", {}).get(name)
        return part if part and part.get("wanted") and part.get("command") else None

    def _see_running(self, name: PartName, part: dict[str, Any] | None) -> None:
        record = self._records[name]
        if self._due.pop(name, None) is not None:  # a command has started it
            record.next_start = None
            self._publish()
        if record.ends and (part is None or _age(part) > RECOVERED):
            record.ends, record.since = 0, None
            self._publish()

    def _check_health(self, part: dict[str, Any]) -> None:
        """Kills a Temporal server that has failed: then it is started again, as any part that has ended."""
        failure = self._health.failure((part["pid"], part["born"]), part["command"])
        if failure is None:
            return
        lock = try_lock(self._home / "stack.lock")
        if lock is None:  # a command is changing the stack
            return
        try:
            self._read()
            current = self._part("temporal")
            if current and (current["pid"], current["born"]) == (part["pid"], part["born"]):
                _say(f"the {TITLES['temporal']} (pid {part['pid']}) is replaced, as its database fails: {failure}")
                process.send_signal(part["pid"], part["born"], signal.SIGKILL)
        finally:
            os.close(lock)

    def _see_ended(self, name: PartName, part: dict[str, Any]) -> None:
        record = self._records[name]
        if _age(part) > RECOVERED:
            record.ends = 0
        self._plan(name, f"the {TITLES[name]} (pid {part['pid']}) has ended")

    def _plan(self, name: PartName, event: str) -> None:
        record = self._records[name]
        record.ends += 1
        if record.ends == 1:
            record.since = _now()
        pause = 0.0 if record.ends == 1 else min(FIRST_PAUSE * 2 ** (record.ends - 2), LONGEST_PAUSE)
        self._due[name] = time.monotonic() + pause
        record.next_start = _now(pause)
        self._publish()
        _say(event + (f"; it is started again in {pause:.0f} s" if pause else ""))

    def _restart(self, name: PartName) -> None:
        lock = try_lock(self._home / "stack.lock")
        if lock is None:  # a command is changing the stack
            return
        try:
            self._read()
            part = self._part(name)
            if part is None or process.is_alive(part["pid"], part["born"]):
                return
            running = holder(self._home, name)
            if running and running.get("command"):  # it was started, and stack.json could not be written
                self._started(name, running)
            else:
                self._start(name, part)
        except (HoldfastError, OSError) as error:
            self._plan(name, f"the {TITLES[name]} cannot be started: {error}")
        finally:
            os.close(lock)

    def _start(self, name: PartName, part: dict[str, Any]) -> None:
        folder = Path(part["folder"]) if part.get("folder") else None
        with claimed(self._home, name) as lock:
            variables = {**os.environ, **lock.variables}
            pid = process.spawn(part["command"], Path(part["log"]), variables, folder=folder, keep=[lock.descriptor])
            started = {**part, "pid": pid, "born": process.birth(pid) or "", "since": _now()}
            lock.record(started)
        self._started(name, started)

    def _started(self, name: PartName, part: dict[str, Any]) -> None:
        self._state["parts"][name] = part
        write_private(self._home / "stack.json", json.dumps(self._state, indent=2))
        self._due.pop(name)
        record = self._records[name]
        record.restarts, record.next_start = record.restarts + 1, None
        self._publish()
        _say(f"the {TITLES[name]} was started again: pid {part['pid']}")

    def _publish(self) -> None:
        with suppress(OSError):  # a full disk
            text = json.dumps({name: asdict(record) for name, record in self._records.items()})
            write_private(self._home / FILE, text, durable=False)


def _age(part: dict[str, Any]) -> float:
    """Returns the seconds since the start of a part."""
    return time.time() - datetime.fromisoformat(part["since"]).timestamp()


def _now(later: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() + later, UTC).isoformat()


def _say(text: str) -> None:
    with suppress(OSError):  # the disk of the log may be full
        print(_now(), text, flush=True)


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).run()
