"""The record of what the running parts of the stack serve: agents, and the code that they have loaded."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from holdfast._util.private_files import write_private
from holdfast.settings import Settings
from holdfast.stack.part_locks import PartName, is_part
from holdfast.stack.process import PACKAGE_PARENT, birth
from holdfast.stack.state import Part
from holdfast.types import Data

FILE_VARIABLE = "HOLDFAST_WORKER_FILE"
"""Names the file in which another worker is to write it."""

PACKAGE = "holdfast"


class LoadedFile(Data):
    """A source file as it was when it was loaded."""

    mtime_ns: int
    size: int
    digest: str
    """Of its content; empty if it was changed while it was being loaded."""


class Serving(Data):
    """What a part of the stack serves: a worker, or the scripted model server; written by it when it has started."""

    pid: int
    born: str
    agents: list[str]
    """Names of the agents that are defined in code; empty for the scripted model server."""
    files: dict[str, LoadedFile]
    """The source files of Holdfast, of the modules of HOLDFAST_AGENTS, and of what these import from the project."""

    @classmethod
    def of_this_process(cls, agents: Iterable[str], modules: Iterable[str], since_ns: int) -> Serving:
        """Describes this process.

        Args:
            agents: names of the agents that it serves.
            modules: the names in HOLDFAST_AGENTS.
            since_ns: when it began to load them, in nanoseconds since 1970.
        """
        pid = os.getpid()
        return cls(pid=pid, born=birth(pid) or "", agents=list(agents), files=_loaded_files(modules, since_ns))

    @classmethod
    def read(cls, home: Path, part: Part | None) -> Serving | None:
        """Returns what a part of the stack serves; `None` if it has not started yet, or is not known."""
        found = cls.load(file_of(home, part.name)) if part else None
        return found if found and part and (found.pid, found.born) == (part.pid, part.born) else None

    @classmethod
    def load(cls, file: Path) -> Serving | None:
        """Returns what a file says; `None` if there is none."""
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, file: Path) -> None:
        """Replaces a file."""
        write_private(file, self.model_dump_json(), durable=False)

    def changed_files(self) -> list[Path]:
        """Returns the files that have another content now, or do not exist any more."""
        return [Path(path) for path, loaded in self.files.items() if _has_changed(path, loaded)]


def file_of(home: Path, name: PartName) -> Path:
    """Returns the file in the state folder in which a part records what it serves."""
    return home / f"{name}.json"


def serving_file(settings: Settings) -> Path | None:
    """Returns where this worker is to write what it serves; `None` if nobody asks."""
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named)
    return file_of(settings.prepare_home(), "worker") if is_part() else None


def shown_files(files: Sequence[Path], limit: int = 3) -> str:
    """Returns the names of files for a message, those of Holdfast last: after an upgrade, they are many."""
    package = PACKAGE_PARENT / PACKAGE
    own_first = sorted(files, key=lambda path: path.is_relative_to(package))
    names = [_shortened(path) for path in own_first[:limit]]
    more = f" and {len(files) - limit} more" if len(files) > limit else ""
    return ", ".join(names) + more


def _shortened(path: Path) -> str:
    """Returns a path in relation to the current folder, or to that from which Holdfast is imported."""
    for folder in (Path.cwd(), PACKAGE_PARENT):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return str(path)


def _loaded_files(modules: Iterable[str], since_ns: int) -> dict[str, LoadedFile]:
    ours = {PACKAGE, *(name.partition(".")[0] for name in modules)}
    installed = _installed_folders()
    files: dict[str, LoadedFile] = {}
    for module in list(sys.modules.values()):
        source = _source(module)
        if source is None:
            continue
        if module.__name__.partition(".")[0] in ours or not any(source.is_relative_to(place) for place in installed):
            loaded = _loaded_file(source, since_ns)
            if loaded is not None:
                files[str(source)] = loaded
    return files


def _source(module: ModuleType) -> Path | None:
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return Path(origin).absolute() if isinstance(origin, str) and origin.endswith(".py") else None


def _installed_folders() -> list[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = {Path(sysconfig.get_path(name)) for name in names} | {
        Path(sys.prefix) / "lib",
        Path(sys.base_prefix) / "lib",
    }
    return sorted(found | {path.resolve() for path in found})


def _loaded_file(path: Path, since_ns: int) -> LoadedFile | None:
    try:
        found = path.stat()
        digest = "" if found.st_mtime_ns > since_ns else _digest(path)
    except OSError:
        return None
    return LoadedFile(mtime_ns=found.st_mtime_ns, size=found.st_size, digest=digest)


def _has_changed(path: str, loaded: LoadedFile) -> bool:
    try:
        found = Path(path).stat()
        if (found.st_mtime_ns, found.st_size) == (loaded.mtime_ns, loaded.size) and loaded.digest:
            return False
        return _digest(Path(path)) != loaded.digest
    except OSError:
        return True


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
