"""The process that starts one command, enforces its limits, and ends it with all the processes that it started.

It runs as `python -I -S -B supervisor.py STATUS`, outside of the sandbox, and needs the standard library only. Standard
input is the control pipe: one line of JSON, a request. When the pipe closes, because the worker gave up the command or
died, the command is killed. Standard output and standard error become those of the command. What happened is written to
the descriptor STATUS as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

IS_LINUX = sys.platform == "linux"
SUBREAPER = 36  # prctl(2): orphans of the command become children of this process instead of leaving the tree
NEW_USER_NAMESPACE = 0x10000000  # CLONE_NEWUSER
INNER_USER = 1000  # the user of commands in a sandbox
HIGH_USERS = 2_000_000_000  # above the ranges that distributions, containers and systemd assign
WATCH_INTERVAL = 0.2  # seconds between two looks at the memory of the command
WATCH_SHARE = 20  # the interval is at least this many times as long as a look, so that looks cost at most 5% of a core
KILL_TIMEOUT = 5.0  # seconds for the processes to end; those in uninterruptible I/O may take longer
KILL_PAUSE = 0.005  # seconds
MAX_REPORT = 64 * 1024  # bytes
NOT_ROOT = (
    "the worker is root, whose processes the kernel does not count, and lacks the capabilities SETUID and SETGID to "
    "become another user: run it as another user than root"
)
CLOCK_STEP = 0.1  # seconds that the times of files may be behind the clock
SET_ID = stat.S_ISUID | stat.S_ISGID


class Tree:
    """The processes that descend from this one."""

    def __init__(self) -> None:
        self.exits: dict[int, int] = {}
        """Exit codes of direct children that have ended."""
        if IS_LINUX:
            ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)

    def reap(self) -> None:
        """Takes note of the children that have ended."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                code = os.waitstatus_to_exitcode(found[1])
                self.exits[found[0]] = code if code >= 0 else 128 - code

    def processes(self) -> list[int]:
        """Returns the ids of all living processes below this one."""
        children: dict[int, list[int]] = {}
        for process in Path("/proc").iterdir():
            if process.name.isdecimal() and (parent := _parent(process)):
                children.setdefault(parent, []).append(int(process.name))
        found = [os.getpid()]
        for known in found:
            found += children.get(known, [])
        return found[1:]

    def has_more_memory_than(self, most: int) -> bool:
        """Whether the processes together use more bytes of memory, without files that they have mapped."""
        processes = self.processes()
        if sum(_memory(process, "status", ("RssAnon:", "RssShmem:")) for process in processes) <= most:
            return False
        once = sum(_memory(process, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) for process in processes)
        return once > most or not once  # counts pages that processes share once, which takes longer

    def kill(self, child: int, user: int | None) -> None:
        """Kills every process. All are stopped first: one that is stopped cannot start another one meanwhile."""
        deadline = time.monotonic() + KILL_TIMEOUT
        if not IS_LINUX:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
        stopped: set[int] = set()
        while IS_LINUX and (found := set(self.processes()) - stopped):
            _signal(found, signal.SIGSTOP)
            stopped |= found
        _signal(stopped, signal.SIGKILL)
        while (IS_LINUX and (found := set(self.processes()))) and time.monotonic() < deadline:
            _signal(found, signal.SIGKILL)
            if user is not None:
                _kill_all_of(user)
            self.reap()
            time.sleep(KILL_PAUSE)
        self.reap()


class Supervisor:
    """One command with its processes."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._worker = os.getppid()
        self._tree = Tree()
        self._users = _free_users() if request["drops_root"] and is_root() else None
        self._report, self._report_end = _pipe()
        self._fault, self._fault_end = _pipe()

    def run(self) -> dict[str, Any]:
        """Runs the command, and returns what happened."""
        began, date = time.monotonic(), time.time()
        child = self._start()
        stopped = self._watch(child, began + self._request["seconds"])
        seconds = time.monotonic() - began
        direct = self._users[0] if self._users and not self._request["sandbox"] else None
        self._tree.kill(child, direct)
        if self._request["limited"]:
            _give_back(self._request["workspace"], self._users, date)
        fault = _content(self._fault)
        return {"exit_code": self._exit_code(child), "stopped": stopped, "seconds": seconds, "fault": fault}

    def _start(self) -> int:
        stage = self._request["stage"]
        namespace = None
        if self._users and self._request["sandbox"]:
            namespace = _user_namespace(*self._users)
            stage["user"] = [INNER_USER, INNER_USER]
        else:
            stage["user"] = self._users
        stage["fault"] = self._fault_end
        argv = self._argv(namespace)
        plan = os.memfd_create("stage") if IS_LINUX else _unnamed_file()
        os.write(plan, json.dumps(stage).encode())
        os.lseek(plan, 0, os.SEEK_SET)
        child = os.fork()
        if child:
            for descriptor in (plan, self._report_end, self._fault_end):
                os.close(descriptor)
            return child
        try:
            os.setsid()
            os.dup2(plan, 0)
            os.set_inheritable(self._fault_end, True)
            if self._request["limited"]:
                with suppress(OSError):
                    Path("/proc/self/oom_score_adj").write_text("1000")  # if the machine runs out of memory
            os.chdir(self._request["workspace"])
            os.execve(argv[0], argv, stage["environment"])  # noqa: S606 - no shell is wanted
        except BaseException as error:  # noqa: BLE001 - this is the child, which must not return
            os.write(2, f"{argv[0]}: {error}\n".encode())
        finally:
            os._exit(127)

    def _argv(self, namespace: int | None) -> list[str]:
        sandbox: list[str] | None = self._request["sandbox"]
        if sandbox is None:
            return list(self._request["argv"])
        if namespace is None:
            user = [*self._request["own_user"], "--uid", str(INNER_USER), "--gid", str(INNER_USER)]
        else:
            os.set_inheritable(namespace, True)
            user = ["--userns", str(namespace), "--uid", "0", "--gid", "0", "--cap-add", "ALL"]
        os.set_inheritable(self._report_end, True)
        report = ["--json-status-fd", str(self._report_end)]
        return [sandbox[0], *user, *report, *sandbox[1:], "--", *self._request["argv"]]

    def _watch(self, child: int, deadline: float) -> str | None:
        """Waits until the command ends, and returns why it must be killed, if it must."""
        poll = select.poll()
        poll.register(0, select.POLLIN | select.POLLHUP)
        if IS_LINUX:
            poll.register(os.pidfd_open(child), select.POLLIN)
        while True:
            began = time.monotonic()
            excess = self._excess(deadline)
            self._tree.reap()
            if child in self._tree.exits or excess:
                return None if child in self._tree.exits else excess
            pause = max(WATCH_INTERVAL, WATCH_SHARE * (time.monotonic() - began)) if IS_LINUX else 0.05
            events = poll.poll(1000 * max(0.0, min(pause, deadline - time.monotonic())))
            has_lost_worker = os.getppid() != self._worker  # a process that it has forked may hold the pipe
            if has_lost_worker or any(descriptor == 0 for descriptor, _ in events):
                return "cancelled"

    def _excess(self, deadline: float) -> str | None:
        if time.monotonic() >= deadline:
            return "time"
        most = self._request["memory"]
        return "memory" if most and IS_LINUX and self._tree.has_more_memory_than(most) else None

    def _exit_code(self, child: int) -> int | None:
        """Returns the command's exit code; `None` if it did not begin."""
        if not self._request["sandbox"]:
            return self._tree.exits.get(child)
        reports = [json.loads(line) for line in _content(self._report).splitlines()]
        return next((report["exit-code"] for report in reports if "exit-code" in report), None)


def is_root() -> bool:
    """Whether this process is a root whose processes the kernel does not count; another user can take its place."""
    return IS_LINUX and os.geteuid() == 0 and _mapped("uid") > INNER_USER


def _mapped(kind: str) -> int:
    """Returns the highest id of users or groups that exists in this process's user namespace."""
    ranges = [[int(part) for part in line.split()] for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
    return max((first + count - 1 for first, _, count in ranges), default=0)


def _free_users() -> list[int]:
    """Returns a user and a group that nobody else has."""
    chosen = int.from_bytes(os.urandom(4), "big")
    return [_high(_mapped(kind), chosen) for kind in ("uid", "gid")]


def _high(highest: int, chosen: int) -> int:
    if highest > 2 * HIGH_USERS:
        return HIGH_USERS + chosen % 100_000_000
    return max(INNER_USER, highest - 5_000 - chosen % 10_000)  # in a container, of 65,536 users as a rule


def _user_namespace(user: int, group: int) -> int:
    """Returns a descriptor of a new user namespace, with root and one further user, that cannot be nested."""
    (begun, begin), (mapped, set_mapped) = os.pipe(), os.pipe()
    holder = os.fork()
    if not holder:
        os.close(set_mapped)  # so that the end of this process ends the wait
        failed = ctypes.CDLL(None, use_errno=True).unshare(NEW_USER_NAMESPACE)
        os.write(begin, bytes([ctypes.get_errno() if failed else 0]))
        os.read(mapped, 1)
        with suppress(OSError):
            Path("/proc/sys/user/max_user_namespaces").write_text("0")
        os._exit(0)
    if fault := os.read(begun, 1)[0]:
        raise OSError(fault, os.strerror(fault))
    try:
        for kind, outer in (("uid", user), ("gid", group)):
            Path(f"/proc/{holder}/{kind}_map").write_text(f"0 0 1\n{INNER_USER} {outer} 1\n")
        return os.open(f"/proc/{holder}/ns/user", os.O_RDONLY)
    except PermissionError:
        raise OSError(NOT_ROOT) from None
    finally:
        os.write(set_mapped, b"\0")
        os.waitpid(holder, 0)


def _parent(process: Path) -> int | None:
    """Returns the parent of a living process."""
    try:
        status = (process / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if status[0] in (b"Z", b"X") else int(status[1])


def _memory(process: int, file: str, fields: tuple[str, ...]) -> int:
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(fields))


def _signal(processes: set[int], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _kill_all_of(user: int) -> None:
    """Kills every process of a user that belongs to this command alone, at one moment."""
    killer = os.fork()
    if not killer:
        try:
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(killer, 0)


def _give_back(workspace: str, users: list[int] | None, began: float) -> None:
    """Makes what the command created in the workspace a possession of its owner, whom no program may become.

    Args:
        workspace: the folder.
        users: the user and the group of the command, if it had its own.
        began: when the command did.
    """
    owner = Path(workspace).stat()
    for _, folders, files, folder in os.fwalk(workspace):
        for name in (*folders, *files):
            with suppress(OSError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if found.st_ctime < began - CLOCK_STEP:
                    continue
                if users and (found.st_uid == users[0] or found.st_gid == users[1]):
                    os.chown(name, owner.st_uid, owner.st_gid, dir_fd=folder, follow_symlinks=False)
                elif stat.S_ISREG(found.st_mode) and found.st_mode & SET_ID:
                    os.chmod(name, stat.S_IMODE(found.st_mode) & ~SET_ID, dir_fd=folder)


def _pipe() -> tuple[int, int]:
    """Returns a pipe whose first end does not wait for content."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    return reading, writing


def _content(pipe: int) -> str:
    try:
        return os.read(pipe, MAX_REPORT).decode(errors="replace")
    except BlockingIOError:
        return ""


def _unnamed_file() -> int:
    import tempfile  # noqa: PLC0415 - slow, and Linux does not need it

    descriptor, name = tempfile.mkstemp()
    Path(name).unlink()
    return descriptor


def _request() -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):
        if not (more := os.read(0, 1 << 20)):
            raise SystemExit(1)
        line += more
    request: dict[str, Any] = json.loads(line)
    return request


def main() -> None:
    """Serves one request."""
    status = int(sys.argv[1])
    os.set_inheritable(status, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the worker's end is what counts
    request = _request()
    try:
        os.write(status, json.dumps(Supervisor(request).run()).encode())
    except OSError as error:
        with suppress(OSError):  # the worker may be what has ended
            os.write(2, f"{error}\n".encode())
            os.write(status, b'{"exit_code": null}')
    finally:
        if request["temporary"]:
            import shutil  # noqa: PLC0415 - slow, and a sandbox does not need it

            shutil.rmtree(request["temporary"], ignore_errors=True)


if __name__ == "__main__":
    main()
