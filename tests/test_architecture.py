"""Who may import whom. The arrows of ARCHITECTURE.md, checked."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import holdfast

ROOT = Path(__file__).parent.parent
LEAVES = {"definition", "flaws", "types", "retrieval", "protocol", "events", "errors", "ports", "settings"}
SDKS = {"openai", "surrealdb", "temporalio", "starlette", "uvicorn", "typer", "rich"}
MAX_LINES = 400
PUBLIC_NAMES = """
    Agent AgentDefinitionError AgentResult AgentSpec Entry Event Holdfast HoldfastError Memory MemoryMatch Message
    Notice RunError RunExists RunFailed RunHandle RunNotFound RunProgress RunResult RunStatus RunSummary Settings
    SettingsError StoreUnavailable TemporalUnavailable TextDelta Tool ToolCall ToolContext ToolError ToolResult ToolSpec
    Unavailable UnknownAgent Usage UsageError WaitTimedOut WorkerUnavailable connect tool
    AgentDefinition BaseRegistry InMemoryRegistry RegistryProtocol registry_factory run_blocking
    VectorStore
    BusEvent EventBus EventsPruned SubscriberTooSlow event_bus
"""


def sources(*folders: str) -> list[Path]:
    """The Python files of these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Dotted names of what a file imports, those for type checkers alone left out."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for node in ast.walk(test)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, packages: set[str]) -> bool:
    """Whether a dotted name is one of these packages or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def parts(*names: str) -> set[str]:
    """Packages and modules of holdfast."""
    return {f"holdfast.{name}" for name in names}


@dataclass(frozen=True)
class Arrow:
    """What the files of a layer must not import."""

    layer: str
    files: list[Path]
    forbidden: set[str]


ARROWS = [
    Arrow(
        "leaves know only each other",
        [ROOT / "holdfast" / f"{leaf}.py" for leaf in LEAVES],
        {"workflows", "activities", "worker"} | SDKS,
    ),
    Arrow("holdfast knows no workflow and no activity", sources("holdfast"), {"workflows", "activities", "worker"}),
    Arrow(
        "workflows are pure",
        sources("workflows"),
        {"activities", "worker", "os", *parts("settings", "store", "models", "client")} | (SDKS - {"temporalio"}),
    ),
    Arrow(
        "the turn's decisions need no Temporal",
        [ROOT / "workflows" / name for name in ("turn.py", "log.py", "state.py")],
        {"temporalio"},
    ),
    Arrow(
        "activities know ports, not adapters",
        sources("activities"),
        {"workflows", "worker", *parts("settings", "store", "models", "client")} | (SDKS - {"temporalio"}),
    ),
    Arrow(
        "the database knows nothing of what stands on it",
        sources("holdfast/database"),
        parts("settings", "client", "models", "store", "registry", "vectors", "memory", "bus", "payloads", "doctor")
        | parts("transfer", "persistence", "configured", "stack", "cli")
        | (SDKS - {"surrealdb"}),
    ),
    Arrow(
        "what stands on the database knows no client of runs and no model",
        sources("holdfast/bus", "holdfast/payloads", "holdfast/transfer", "holdfast/doctor"),
        parts("client", "models", "stack", "cli") | {"openai", "uvicorn"},
    ),
    Arrow(
        "stores know nothing but their port",
        sources("holdfast/store"),
        parts("settings", "client", "models", "stack", "cli") | (SDKS - {"surrealdb"}),
    ),
    Arrow(
        "models know nothing but their port",
        sources("holdfast/models"),
        parts("settings", "client", "store", "stack", "cli") | {"surrealdb", "temporalio", "typer", "rich"},
    ),
    Arrow(
        "vectors know ports and the database; where they are kept is asked for when they are used",
        sources("holdfast/vectors"),
        parts("settings", "client", "models", "store", "stack", "cli") | (SDKS - {"surrealdb"}),
    ),
    Arrow(
        "text memory knows ports and the database",
        sources("holdfast/memory"),
        parts("settings", "client", "models", "store", "stack", "cli", "configured")
        | (SDKS - {"surrealdb", "temporalio"}),
    ),
    Arrow(
        "the event bus knows its port and the database",
        sources("holdfast/bus"),
        parts("settings", "client", "models", "stack", "cli", "configured") | (SDKS - {"surrealdb"}),
    ),
    Arrow(
        "agents and tools need no server",
        sources("holdfast/agents", "holdfast/tools"),
        SDKS | parts("settings", "store", "models", "client", "stack", "cli"),
    ),
    Arrow(
        "only the command line is a command line",
        [path for path in sources("holdfast") if "cli" not in path.parts],
        {"typer", "rich", "holdfast.cli"},
    ),
]


@pytest.mark.parametrize("arrow", ARROWS, ids=lambda arrow: arrow.layer)
def test_imports_go_one_way(arrow: Arrow) -> None:
    """An import against the arrow is where a tangle begins."""
    assert arrow.files
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in arrow.files
        for name in sorted(imports(path))
        if within(name, arrow.forbidden)
    ]
    assert not wrong


def test_workflows_load_no_adapter() -> None:
    """A workflow that drags an SDK in pays for it at every start, and may come to use it."""
    sdks = ("openai", "surrealdb", "fastapi", "starlette")
    script = f"import sys, workflows; print(*(name for name in {sdks} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


@pytest.mark.parametrize(
    "path", sources("holdfast", "workflows", "activities"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_file_outgrows_its_noun(path: Path) -> None:
    """A file beyond this size hides a missing noun."""
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_public_surface_is_this() -> None:
    """Users build on these names; one that goes or comes must be meant."""
    expected = set(PUBLIC_NAMES.split())
    assert set(holdfast.__all__) == expected
    assert all(hasattr(holdfast, name) for name in expected)
