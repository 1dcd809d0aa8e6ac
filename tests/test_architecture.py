"""Import structure of the package, its public surface, and the cost of importing it."""

from __future__ import annotations

import ast
import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import holdfast

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "holdfast"
MAX_LINES = 400
PUBLIC_NAMES = """
    ApprovalRequired ExecutedTool ToolCallFailed
    Attachment Image
    Agent AgentDefinitionError AgentResult AgentSpec Entry Event File Happened Holdfast HoldfastError ListedRun Memory
    MemoryMatch Message Notice RunError RunExists RunFailed RunHandle RunNotFound RunProgress RunResult RunStatus
    get_model_response get_surrealdb_client
    Block GuardBlocked ModelReply ModelRequest OutputInvalid RunContext ToolRequest
    Settings SettingsError StoreUnavailable TemporalUnavailable TextDelta Tool ToolCall ToolContext ToolError
    ToolProgress ToolResult
    MCPServer MCPServerUnavailable
    ToolSpec Unavailable UnknownAgent Usage UsageError WaitTimedOut WorkerUnavailable connect tool
    run_agents_concurrently
    AgentDefinition Budget BaseRegistry InMemoryRegistry RegistryProtocol registry_factory run_blocking
    StoredVector VectorMatch VectorStore
    FrontendDeveloper Persona PreviewServer TaskAgent TaskContext TaskExecutionMode
    BusEvent EventBus EventsPruned SubscriberTooSlow event_bus
    __version__
"""


# --- reading the imports ---------------------------------------------------------------------------------------------


def python_files(folder: Path) -> Iterator[Path]:
    """Returns the Python files below a folder, following symbolic links."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from python_files(path)
        elif path.suffix == ".py":
            yield path


def module_name(path: Path) -> str:
    """The dotted name of a module; an `__init__` file has the name of its package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in python_files(PACKAGE)}


def base_of(module: str, node: ast.ImportFrom) -> str:
    """The absolute name of what a `from … import` statement of this module names after `from`."""
    if not node.level:
        return node.module or ""
    package = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def imports_of(module: str) -> set[str]:
    """Dotted names of the modules that a module imports anywhere: in functions and for type checkers too.

    `from package import name` is an import of `package.name` if that is a module of ours, else of the `__init__` of
    `package`.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = base_of(module, node)
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else base for name in names}
    return found - {module}


@cache
def imports() -> dict[str, set[str]]:
    """The imports of each module; read by the first test that needs them, as all test processes load this file."""
    gc.disable()  # the parser of Python 3.11 may fail if a finalizer of what other tests have left runs inside it
    try:
        return {module: imports_of(module) for module in MODULES}
    finally:
        gc.enable()


def find_circle(graph: dict[str, set[str]]) -> list[str] | None:
    """A shortest list of nodes that each lead to the next, the last being the first; `None`: there is none."""
    circles = []
    for start in graph:
        previous: dict[str, str] = {}
        queue = [start]
        for node in queue:
            for successor in sorted(graph[node] & graph.keys()):
                if successor not in previous:
                    previous[successor] = node
                    queue.append(successor)
        if start in previous:
            circle = [start]
            while (node := previous[circle[-1]]) != start:
                circle.append(node)
            circles.append([start, *reversed(circle)])
    return min(circles, key=len, default=None)


def test_there_is_no_circle_of_imports() -> None:
    """No module imports itself by way of others, whether at its top, in a function or for a type checker."""
    circle = find_circle(imports())
    assert circle is None, "circle of imports:\n    " + "\n -> ".join(circle)


def test_a_circle_is_found() -> None:
    """The search reports the shortest circle of a graph, and none in a graph without one."""
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"d", "b"}, "d": {"a"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


# --- the arrows ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """Modules of one kind and all that they may import besides each other and the standard library."""

    modules: str
    ours: str
    libraries: str = ""


LEAVES = """
    agent_result
    answers
    approval
    arguments
    attachments
    bounds
    budgets
    call_outcome
    call_progress
    carried
    chat_format
    chat_requests
    checkpoints
    children
    commands
    context
    data
    decisions
    definition
    elicitation
    embedding
    endings
    errors
    estimates
    event_topics
    events
    fault_reason
    fork_of
    forking
    http_access
    inbox
    inlining
    invocations
    json_schema
    log_points
    media_types
    messages
    model_reply
    names
    option_names
    output_schema
    ports
    pricing
    progress
    protocol
    rejection
    request_problems
    run_context
    run_status
    server_tools
    similar
    specs
    start_options
    tags
    tool_result
    tool_runs
    training_examples
    transcripts
    trees
    types
    usage
    workspace_log
    workspace_states
"""
VOCABULARY = f"{LEAVES} search_attributes"
STORAGE = (
    f"{VOCABULARY} _util.batches _util.logger storage.assertions storage.edge_cases storage.days "
    "storage.sealed storage.database"
)
CALLERS = "storage temporal client composition stack ops scripted models sandbox telemetry"
LAYERS = [
    Layer(LEAVES, "", "pydantic pydantic_core"),
    Layer("search_attributes", LEAVES, "temporalio"),
    Layer(
        "settings env_file model_settings observability_settings workspace_settings",
        "bounds budgets errors http_access names pricing rejection similar _util.age _util.named_values",
        "pydantic pydantic_settings",
    ),
    Layer("_version", ""),
    Layer("_lazy", "", "lazy_loader"),
    Layer("_util", "errors", "structlog temporalio"),
    # Workflows: deterministic code.
    Layer("workflows", f"{VOCABULARY} _version", "pydantic temporalio"),
    # Side effects know ports. Known exceptions: the catalog of agents, the limits of payloads.
    Layer(
        "activities",
        f"{VOCABULARY} _util.logger _util.raised _util.streams agents.agent agents.approvals agents.cancellation "
        "agents.catalog agents.directory agents.files agents.guards agents.lifespan agents.output agents.readers "
        "agents.secret_files agents.system_prompt agents.tool agents.tool_context agents.user_functions "
        "agents.workspaces agents.wrappers temporal.payload_limits temporal.prefix storage.memory workspaces",
        "cachetools temporalio",
    ),
    # Adapters: the vocabulary and their own SDK.
    Layer(
        "models",
        f"{VOCABULARY} _lazy _util.batches _util.logger _util.private_files",
        "genai_prices httpx2 openai pydantic",
    ),
    Layer("sandbox", VOCABULARY),
    Layer("previews", "arguments errors"),
    Layer(
        "tools",
        f"{VOCABULARY} _lazy _util.descriptors _util.logger _util.loop_thread agents.mcp_server agents.tool "
        "agents.secret_files agents.workspaces sandbox.attached",
        "httpx2 mcp mcp_types pydantic",
    ),
    Layer("temporal", f"{VOCABULARY} _util.logger _util.native_threads", "google pydantic temporalio"),
    Layer("storage.assertions storage.days storage.edge_cases storage.sealed", VOCABULARY),
    Layer(
        "storage.database",
        f"{VOCABULARY} _util.logger _util.loop_thread _util.native_threads _util.private_files",
        "cachetools httpx2 pydantic surrealdb websockets",
    ),
    Layer("storage.row_cache", f"{VOCABULARY} _util.blocking _util.logger"),
    Layer("storage.encryption", f"{VOCABULARY} storage.sealed", "cryptography"),
    Layer("storage.mirror storage.bus storage.budgets storage.ledger", STORAGE, "cachetools pydantic surrealdb"),
    Layer(
        "storage.registry", f"{STORAGE} agents.agent agents.conversion", "pydantic pydantic_core surrealdb tomli_w yaml"
    ),
    Layer(
        "storage.vectors", f"{STORAGE} _lazy storage.row_cache _util.blocking", "cachetools numpy pydantic surrealdb"
    ),
    Layer(
        "storage.memory",
        f"{STORAGE} storage.vectors storage.row_cache _util.blocking",
        "cachetools pydantic snowballstemmer surrealdb",
    ),
    Layer("storage.own_tables", STORAGE, "surrealdb"),
    Layer("storage.contents", f"{STORAGE} storage.encryption", "cachetools surrealdb"),
    Layer("storage.conversations", STORAGE, "surrealdb"),
    Layer(
        "storage.payloads",
        f"{STORAGE} storage.encryption temporal",
        "cachetools surrealdb temporalio",
    ),
    Layer("storage.memory_files", f"{STORAGE} storage.encryption", "surrealdb"),
    Layer(
        "storage.files",
        f"{STORAGE} storage.encryption storage.payloads",
        "cachetools surrealdb",
    ),
    Layer("storage.persistence", "errors ports storage"),
    Layer(
        "workspaces",
        f"{VOCABULARY} _util.batches _util.descriptors _util.logger _util.private_files agents.secret_files "
        "agents.workspaces",
        "pydantic",
    ),
    Layer("scripted", f"{VOCABULARY} models", "pydantic starlette uvicorn"),
    Layer(
        "telemetry",
        f"{VOCABULARY} _version _util.background _util.logger temporal.executions",
        "cachetools opentelemetry temporalio",
    ),
    # Users' code.
    Layer(
        "agents",
        f"{VOCABULARY} _lazy previews tools _util.logger _util.raised",
        "griffe jsonschema pydantic pydantic_core referencing",
    ),
    Layer(
        "client",
        f"{VOCABULARY} _version _util.logger _util.loop_thread _util.native_threads _util.private_files temporal "
        "agents.agent agents.files agents.results agents.services agents.conversion agents.shipped "
        "agents.single_call agents.tasks agents.readers agents.tool_context agents.typed_results",
        "pydantic pydantic_core temporalio",
    ),
    # Programs: what composes the parts, and what calls them.
    Layer("ops", f"{VOCABULARY} _util temporal storage", "pydantic surrealdb temporalio"),
    Layer(
        "stack",
        f"{VOCABULARY} settings temporal scripted _util.concurrency _util.private_files",
        "lazy_loader pydantic temporalio watchfiles",
    ),
    Layer(
        "composition",
        f"{VOCABULARY} settings _util _version agents tools.mcp {CALLERS} workspaces workflows activities",
        "pydantic temporalio",
    ),
    Layer(
        "testing",
        f"{VOCABULARY} _lazy _util.loop_thread settings agents client composition models scripted stack storage "
        "temporal tools.mcp",
        "pydantic pytest starlette temporalio",
    ),
    Layer("api", VOCABULARY, "google starlette temporalio"),
    Layer(
        "cli",
        f"{VOCABULARY} settings _util _version agents api {CALLERS} workspaces",
        "google prompt_toolkit pydantic pydantic_core rich surrealdb temporalio typer uvicorn",
    ),
    Layer(
        "worker",
        "_util errors settings composition.loading composition.worker_process telemetry.endpoint",
        "temporalio",
    ),
    Layer("__main__", "cli"),
]
ENTRY_POINTS = ("holdfast", "holdfast.cli", "holdfast.testing", "holdfast.worker")


def within(name: str, packages: set[str]) -> bool:
    """Whether a dotted name is one of these packages or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def modules_in(names: str) -> list[str]:
    """The modules of Holdfast that these names, relative to its package, stand for."""
    return [module for module in MODULES if within(module, parts(names))]


def parts(names: str) -> set[str]:
    """Absolute names of parts of Holdfast."""
    return {f"holdfast.{name}" for name in names.split()}


def is_ours(name: str) -> bool:
    """Whether an imported name is a part of Holdfast."""
    return within(name, {"holdfast"})


def external(name: str) -> str | None:
    """The library that an imported name belongs to; `None` for ours, the standard library and its backports."""
    top = name.partition(".")[0]
    return None if is_ours(name) or top in sys.stdlib_module_names | {"typing_extensions"} else top


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.modules)
def test_imports_point_one_way(layer: Layer) -> None:
    """A module imports only what its layer may know."""
    modules = modules_in(layer.modules)
    assert modules, f"no module is called {layer.modules}"
    known = parts(layer.modules) | parts(layer.ours)
    libraries = layer.libraries.split()
    wrong = [
        f"{module} imports {name}"
        for module in modules
        for name in sorted(imports()[module])
        if not (within(name, known) if is_ours(name) else external(name) in {None, *libraries})
    ]
    assert not wrong, "\n".join(["imports against the table of layers:", *wrong])


def test_each_module_has_its_layer() -> None:
    """Every module belongs to exactly one layer, save two packages that hold layers."""
    modules = MODULES.keys() - {"holdfast", "holdfast.storage"}
    layers = {module: [layer for layer in LAYERS if within(module, parts(layer.modules))] for module in modules}
    assert {module for module, found in layers.items() if len(found) != 1} == set()


def test_only_entry_points_compose() -> None:
    """Only the package root, the command line, the worker process and the test environment import it."""
    importers = {
        module
        for module, names in imports().items()
        if any(within(name, {"holdfast.composition"}) for name in names)
        and not within(module, {"holdfast.composition"})
    }
    assert {name for name in importers if name != "holdfast" and not within(name, set(ENTRY_POINTS[1:]))} == set()


def test_only_the_worker_knows_workflows_and_activities() -> None:
    """Nothing but the composition of workers and of replays imports a workflow or an activity."""
    code = {"holdfast.workflows", "holdfast.activities"}
    importers = {
        module
        for module, names in imports().items()
        if any(within(name, code) for name in names) and not within(module, code)
    }
    assert importers == {
        "holdfast.composition.worker",
        "holdfast.composition.code_worker",
        "holdfast.composition.replay",
    }


def test_decisions_about_the_next_step_need_no_temporal() -> None:
    """The turn, the log and the state of a run are plain code that a table can test."""
    names = ("turn", "log", "state", "budget")
    pure = [f"holdfast.workflows.run.{name}" for name in names]
    assert {external(name) for module in pure for name in imports()[module]} <= {None, "pydantic"}


def test_what_a_run_records_has_a_time_that_replays() -> None:
    """The code of runs asks `workflow_time` for the time, as that of Temporal is not always the same in a replay."""
    of_runs = {module: path for module, path in MODULES.items() if module.startswith("holdfast.workflows.run.")}
    assert of_runs
    assert not [module for module, path in of_runs.items() if re.search(r"workflow\.(now|time)\(", path.read_text())]


# --- what an import loads --------------------------------------------------------------------------------------------


def loaded_by(statement: str, *packages: str) -> list[str]:
    """Which of these packages a fresh interpreter has loaded after a statement; prints how long the statement took."""
    script = (
        f"import sys, time; start = time.perf_counter(); {statement}; took = time.perf_counter() - start\n"
        f"print(took, *(name for name in {packages!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    took, *loaded = done.stdout.split()
    print(f"{statement}: {float(took) * 1000:.0f} ms")
    return loaded


SERVERS_AND_SDKS = (
    "holdfast.stack",
    "holdfast.storage.database",
    "surrealdb",
    "openai",
    "temporalio",
    "numpy",
    "griffe",
)


@pytest.mark.parametrize("statement", ["import holdfast", "from holdfast import Agent, tool"])
def test_defining_agents_loads_no_sdk(statement: str) -> None:
    """A script that only defines agents and tools loads no local stack, no database, no model's SDK and no Temporal."""
    assert loaded_by(statement, *SERVERS_AND_SDKS) == []


def test_the_pytest_plugin_loads_nothing() -> None:
    """The plugin, which pytest loads in each project of an environment, loads nothing of ours until it is used."""
    unwanted = ("asyncio", "pydantic", "starlette", "holdfast.testing.bench", "holdfast.client", *SERVERS_AND_SDKS)
    assert loaded_by("import holdfast.testing.pytest_plugin", *unwanted) == []


def test_workflows_load_no_adapter() -> None:
    """Workflow code brings no SDK but Temporal's into the sandbox."""
    assert (
        loaded_by(
            "import holdfast.workflows.registered", "openai", "surrealdb", "starlette", "numpy", "holdfast.settings"
        )
        == []
    )


def test_a_worker_that_is_not_observed_loads_nothing_for_it() -> None:
    """A worker loads OpenTelemetry, and our spans and metrics, only if settings ask for them."""
    unwanted = ("opentelemetry", "holdfast.telemetry.tracing", "holdfast.telemetry.metrics")
    assert loaded_by("import holdfast.worker", *unwanted) == []


def test_the_supervisor_is_small() -> None:
    """The supervisor, which runs as long as the stack, loads neither an event loop nor a library for data."""
    assert loaded_by("import holdfast.stack.supervisor", "asyncio", "pydantic", *SERVERS_AND_SDKS[1:]) == []


# --- size and surface ------------------------------------------------------------------------------------------------


def test_a_file_holds_one_noun() -> None:
    """No file of the package is longer than 400 lines."""
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > MAX_LINES} == {}


def test_docstrings_of_modules_begin_with_a_noun() -> None:
    """A module says what it defines: its docstring does not begin with a question word."""
    question = re.compile(r'"""(?:What|Where|How|Whether|Why|When|Which|Who) ')
    assert not [module for module, path in MODULES.items() if question.match(path.read_text())]


def test_the_public_surface_is_this() -> None:
    """`holdfast` exports exactly these names, and each can be loaded."""
    expected = set(PUBLIC_NAMES.split())
    assert set(holdfast.__all__) == expected
    assert all(hasattr(holdfast, name) for name in expected)


def test_test_modules_share_only_their_support() -> None:
    """Helpers of tests lie in `tests/support`; only the modules of `tests/replay` also use each other."""
    statement = re.compile(r"^\s*(?:from|import) (tests\S*)(?: import (\w+))?", re.MULTILINE)
    wrong = []
    for path in python_files(ROOT / "tests"):
        allowed = ("tests.support.", *(["tests.replay."] if path.parent.name == "replay" else []))
        names = [f"{module}.{name}" for module, name in statement.findall(path.read_text())]
        wrong += [f"{path.relative_to(ROOT)} imports {name}" for name in names if not name.startswith(allowed)]
    assert not wrong
