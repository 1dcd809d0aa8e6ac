"""Building the Temporal server with Go, with a small program in place of Go: the real build takes minutes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.stack import build
from holdfast.stack.commands import CommandFailed

GO = """\
#!/bin/sh
cache=${GOCACHE:-$HOME/.cache/go-build}
modules=${GOMODCACHE:-$HOME/go/pkg/mod}
case $1 in
env)
    shift
    for name in "$@"; do
        case $name in GOCACHE) echo "$cache" ;; GOMODCACHE) echo "$modules" ;; esac
    done ;;
build)
    mkdir -p "$cache" "$modules/temporal"
    touch "$cache/compiled" "$modules/temporal/source.go"
    chmod -R a-w "$modules"
    echo "go: downloading temporal"
    case $OUTCOME in
    succeeds) echo program > temporal ;;
    fails)
        echo "go.temporal.io/server/common"
        echo "# go.temporal.io/server/service"
        echo "write /tmp/x.o: no space left on device"
        for n in $(seq 50); do echo "github.com/some/package$n/v2"; done
        exit 1 ;;
    hangs) sleep 60 ;;
    esac ;;
esac
"""


class Machine:
    """A home folder, a cache of servers and a program `go`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.cache, self.go = folder / "home", folder / "cache", folder / "go"
        self.home.mkdir()
        self.cache.mkdir()
        self.go.write_text(GO)
        self.go.chmod(0o755)
        self.said: list[str] = []
        monkeypatch.setenv("HOME", str(self.home))
        for name in ("GOCACHE", "GOMODCACHE"):
            monkeypatch.delenv(name, raising=False)

    async def build(self) -> Path:
        return await build.compile_server(str(self.go), self.cache, self.said.append)

    def files(self) -> set[str]:
        """Everything below the home folder and the cache, folders left out."""
        below = [path for folder in (self.home, self.cache) for path in folder.rglob("*")]
        return {str(path.relative_to(self.home.parent)) for path in below if not path.is_dir()}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


async def test_a_build_leaves_nothing_but_the_program(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build leaves no Go caches, which take 3 GB, for a user who had none."""
    monkeypatch.setenv("OUTCOME", "succeeds")
    program = await machine.build()
    assert program.read_text() == "program\n"
    assert machine.files() == {str(program.relative_to(machine.home.parent))}
    assert list(machine.home.iterdir()) == []


async def test_a_failed_build_leaves_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error carries the compiler's words, not what it did besides; the caches are deleted."""
    monkeypatch.setenv("OUTCOME", "fails")
    with pytest.raises(CommandFailed, match="no space left on device") as raised:
        await machine.build()
    assert "package" not in str(raised.value), "those are compiled while the failed one ends"
    assert list(machine.cache.iterdir()) == []
    assert list(machine.home.iterdir()) == []


async def test_an_interrupted_build_leaves_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the compiler, and the caches of the interrupted build are deleted."""
    monkeypatch.setenv("OUTCOME", "hangs")
    building = asyncio.create_task(machine.build())
    while not list(machine.cache.rglob("source.go")):
        assert not building.done()
        await asyncio.sleep(0.01)
    building.cancel()
    with suppress(asyncio.CancelledError):
        await building
    assert list(machine.cache.iterdir()) == []
    assert list(machine.home.iterdir()) == []


async def test_caches_that_exist_are_used(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of Go fetches and compiles only what their caches do not hold yet, and keeps them."""
    monkeypatch.setenv("OUTCOME", "succeeds")
    (machine.home / ".cache" / "go-build").mkdir(parents=True)
    (machine.home / ".cache" / "go-build" / "compiled-before").touch()
    monkeypatch.setenv("GOMODCACHE", str(machine.home / "mine"))  # named, though it does not exist yet
    await machine.build()
    kept = {"home/.cache/go-build/compiled-before", "home/.cache/go-build/compiled", "home/mine/temporal/source.go"}
    assert {name for name in machine.files() if name.startswith("home/")} == kept


async def test_what_a_killed_build_left_is_deleted(machine: Machine) -> None:
    """Caches of a killed build are deleted by the next search for a server."""
    modules = machine.cache / f"{build.BUILD_PREFIX}killed" / "work" / "modules"
    modules.mkdir(parents=True)
    (modules / "source.go").touch()
    modules.chmod(0o500)
    (machine.cache / "temporal-1-server-1").touch()
    await build.remove_unfinished(machine.cache)
    assert machine.files() == {"cache/temporal-1-server-1"}
