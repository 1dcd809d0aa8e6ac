"""Arguments of bubblewrap, and what is wrong if it fails."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from holdfast.ports.sandbox import SandboxUnavailable
from holdfast.sandbox.limits import Limits

WORKSPACE = "/workspace"
TEMPORARY = "/tmp"  # noqa: S108 - in the sandbox, where it is its own
INSTALL = (
    "install the package `bubblewrap` (`apt-get install bubblewrap`, `dnf install bubblewrap`, "
    "`pacman -S bubblewrap`, `apk add bubblewrap`)"
)
IN_CONTAINER = (
    "if this worker runs in a container that confines it well enough, vouch for it with HOLDFAST_SANDBOX=container"
)
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
"""Programs and libraries, as far as they exist."""
ETC = (
    "alternatives",
    "bash.bashrc",
    "crypto-policies",
    "fonts",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "perl",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
)
"""What programs need of /etc; it names neither users nor hosts."""
ACCOUNTS = ("passwd", "group")  # files beside this one
FORBIDDEN = ("No permissions to create", "Operation not permitted", "Permission denied", "ENOSPC", "No space left")


@functools.cache
def program() -> str:
    """Returns the path of bubblewrap.

    Raises:
        SandboxUnavailable: it is not installed.
    """
    if sys.platform != "linux":
        raise SandboxUnavailable(
            "the sandbox needs Linux: run the worker on Linux, or, if commands of models may do on this machine "
            "whatever you may do, set HOLDFAST_SANDBOX=off"
        )
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxUnavailable(
            f"bubblewrap, which confines commands, is not installed (there is no `bwrap` on PATH): {INSTALL}; "
            f"or, {IN_CONTAINER}"
        )
    return found


@functools.cache
def _options() -> str:
    command = [program(), "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout  # noqa: S603 - ours


def own_user() -> list[str]:
    """Returns the arguments for a user namespace of the sandbox's own, which older versions cannot close."""
    return ["--unshare-user", *(["--disable-userns"] if "--disable-userns" in _options() else [])]


def arguments(workspace: Path, hidden: Iterable[Path], paths: Sequence[str], limits: Limits) -> list[str]:
    """Returns the command line of a sandbox, without its user namespace and the command.

    Args:
        workspace: the only folder that can be written to.
        hidden: in the workspace, relative to it.
        paths: further files and folders that can be read.
        limits: of temporary files.
    """
    arguments = [program(), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    arguments += ["--unshare-cgroup-try", "--hostname", "sandbox", "--die-with-parent", "--new-session"]
    for path in SYSTEM:
        arguments += _as_it_is(path)
    for name in ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ACCOUNTS:
        arguments += ["--ro-bind", str(Path(__file__).with_name(name)), f"/etc/{name}"]
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    for path in ("/dev/shm", TEMPORARY):  # noqa: S108 - in the sandbox
        arguments += [*(["--size", str(limits.temporary)] if "--size" in _options() else []), "--tmpfs", path]
    for folder in dict.fromkeys([*python_folders(), *paths]):
        arguments += ["--ro-bind", folder, folder]
    arguments += ["--bind", str(workspace), WORKSPACE]
    for secret in hidden:
        arguments += _hide(workspace / secret, f"{WORKSPACE}/{secret}")
    return [*arguments, "--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORKSPACE]


def _as_it_is(path: str) -> list[str]:
    if Path(path).is_symlink():
        return ["--symlink", str(Path(path).readlink()), path]
    return ["--ro-bind-try", path, path]


def python_folders() -> list[str]:
    """Returns the folders of the worker's interpreter and its packages."""
    named = [Path(sys.base_prefix), Path(sys.prefix)]
    resolved = [*(folder.resolve() for folder in named), Path(sys.executable).resolve().parents[1]]
    return [str(folder) for folder in dict.fromkeys([*named, *resolved]) if not folder.is_relative_to("/usr")]


def _hide(path: Path, inside: str) -> list[str]:
    if path.is_dir():
        return ["--tmpfs", inside, "--remount-ro", inside]
    return ["--ro-bind", os.devnull, inside]


def fault(said: str) -> SandboxUnavailable:
    """Returns the error for a sandbox that bubblewrap could not make.

    Args:
        said: what it wrote to standard error.
    """
    last = said.strip().splitlines()[-1] if said.strip() else "it wrote nothing"
    return SandboxUnavailable(f"bubblewrap cannot make a sandbox ({last}): {_culprit(last)}")


def _culprit(said: str) -> str:
    if not any(sign in said for sign in FORBIDDEN):
        return f"run `{program()} --unshare-user --ro-bind / / true` to examine it; or, {IN_CONTAINER}"
    if _sysctl("user/max_user_namespaces") == "0":
        return "this machine forbids user namespaces: set the sysctl user.max_user_namespaces to 10000"
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return "this machine forbids user namespaces: set the sysctl kernel.unprivileged_userns_clone to 1"
    if _is_in_container():
        return (
            "the container forbids user namespaces or mounts, as those of Docker and Kubernetes do unless their "
            f"seccomp and AppArmor profiles allow them; {IN_CONTAINER}"
        )
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor forbids user namespaces: install an AppArmor profile that allows `userns` to bwrap, or set the "
            "sysctl kernel.apparmor_restrict_unprivileged_userns to 0"
        )
    return f"the system forbids what it needs, user namespaces and mounts: allow them; or, {IN_CONTAINER}"


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def _is_in_container() -> bool:
    signs = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
    return "container" in os.environ or any(Path(sign).exists() for sign in signs)
