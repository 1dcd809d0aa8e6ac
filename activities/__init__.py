"""Activities: the side effects of runs. Each class does one kind of them and takes its dependencies in `__init__`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast.activities.announcer import Announcer
from holdfast.activities.approvals import ApprovalActivities
from holdfast.activities.attached import Attached, ContentActivities, ImageKeeper
from holdfast.activities.children import ChildActivities
from holdfast.activities.code_ready import code_ready
from holdfast.activities.context_cache import ContextCache
from holdfast.activities.deltas import Deltas
from holdfast.activities.events import EventActivities
from holdfast.activities.finished import FinishedCalls
from holdfast.activities.forking import ForkActivities
from holdfast.activities.guards import GuardActivities
from holdfast.activities.ledger_calls import LedgerCalls
from holdfast.activities.lifespans import Lifespans
from holdfast.activities.limiter import Limiter
from holdfast.activities.memory import MemoryActivities
from holdfast.activities.mirror import MirrorActivities
from holdfast.activities.mirror_writer import MirrorWriter
from holdfast.activities.model import ModelActivities
from holdfast.activities.model_source import ModelSources
from holdfast.activities.outputs import OutputActivities
from holdfast.activities.prompts import PromptActivities
from holdfast.activities.restoring import RestoreActivities
from holdfast.activities.run import RunActivities
from holdfast.activities.slots import AgentSlots, SlotActivities
from holdfast.activities.tool_loop import CallerLoop
from holdfast.activities.tool_runner import ToolRunner
from holdfast.activities.tools import ToolActivity
from holdfast.activities.unserved import UnservedActivities
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.directory import AgentDirectory
from holdfast.agents.tool import Tool
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.http_access import HttpAccess
from holdfast.ports import EventBus, RunLog, Store
from holdfast.ports.agent_calls import AgentCalls
from holdfast.ports.contents import ContentStore
from holdfast.ports.event_topics import EventTopics
from holdfast.ports.ledger import Ledger
from holdfast.ports.memory_files import MemoryFolders
from holdfast.ports.model_access import ModelAccess
from holdfast.ports.registry import RegistryProtocol
from holdfast.ports.sandbox import SandboxProtocol
from holdfast.ports.stages import StageReports
from holdfast.ports.telemetry import Telemetry
from holdfast.storage.memory import Embedding, TextMemory
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.types import MAX_INPUT_BYTES
from holdfast.workspaces.keeper import WorkspaceKeeper

NO_LIMIT = 1_000_000  # runs at the same time


@dataclass(frozen=True, kw_only=True)
class CodeDependencies:
    """What the activities are built from that call the code of agents."""

    catalog: AgentCatalog
    models: ModelAccess
    store: Store
    contents: ContentStore
    """Contents of the images and files of messages."""
    limits: PayloadLimits
    memories: TextMemory
    roots: WorkspaceRoots
    """Where the workspaces of runs may be."""
    ledger: Ledger | None
    """Which tool calls have begun; `None` means that calls are made without claims."""
    ledger_required: bool
    """Whether a call that must not take effect twice waits for the ledger while the store is unavailable."""
    tool_loop: CallerLoop
    """Where async tools run."""
    sandbox: SandboxProtocol
    """Where commands of models run."""
    lifespans: Lifespans
    """Enters the agents whose tools are called."""
    bus: EventBus
    """Carries what tools report of their progress."""
    topics: EventTopics
    agents: AgentCalls
    """Runs agents that tools call."""
    stages: StageReports
    """Tells runs which stages their calls have entered."""
    images: ContentStore | None
    """Where images of results are stored; `None` means that the workers would not find them."""
    max_result: int | None = None
    """Most bytes of a tool's result, if the tool sets no limit; `None` means as much as a payload may have."""
    http: HttpAccess | None = None
    """The hosts that tools may reach over HTTP; `None` means all that are public."""
    telemetry: Telemetry | None = None
    """Receives traces and metrics; `None` means that there are none."""
    folders: MemoryFolders | None = None
    """The memory folders of agents; `None` means that there are none."""
    keeper: WorkspaceKeeper | None = None
    """Keeps workspaces in the store; `None` means that they stay on their machine."""
    own_queue: str | None = None
    """Task queue that only this process serves; `None` means that it has none."""


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """What all activities are built from."""

    code: CodeDependencies
    run_log: RunLog
    registry: RegistryProtocol
    default_timeout: float
    """Maximum seconds of a run, if neither the run nor its agent sets a limit."""
    max_concurrent_agents: int
    max_tool_calls: int
    """Maximum number of tool calls that one turn makes."""
    approval_timeout: float | None
    """Seconds that an approval or a question waits for a person, if the run sets no limit."""


class Shared:
    """What the activities of a process share.

    Args:
        deps: what they are built from.
        max_concurrent_agents: maximum number of runs that execute at the same time.
    """

    def __init__(self, deps: CodeDependencies, max_concurrent_agents: int = NO_LIMIT) -> None:
        self.slots = AgentSlots(max_concurrent_agents)
        self.finished = FinishedCalls()
        self.contexts = ContextCache()
        self.writer = MirrorWriter(deps.store, Announcer(deps.bus), deps.telemetry)


def build_activities(deps: Dependencies) -> list[Callable[..., Any]]:
    """Returns every activity that a worker registers, including the agents' tools."""
    code = deps.code
    shared, models = Shared(code, deps.max_concurrent_agents), code.models
    run = RunActivities(
        AgentDirectory(code.catalog, deps.registry),
        served=code.catalog.tools(),
        roots=code.roots,
        default_timeout=deps.default_timeout,
        models=models,
        slots=shared.slots,
        limits=code.limits,
        max_tool_calls=deps.max_tool_calls,
        limiter=Limiter(models),
        has_ledger=code.ledger is not None,
        approval_timeout=deps.approval_timeout,
        keeps_workspaces=code.keeper is not None,
    )
    mirror = MirrorActivities(shared.writer, deps.run_log, shared.contexts, shared.finished, code.telemetry)
    events = EventActivities(code.topics)
    memory = MemoryActivities(Embedding(code.memories))
    forks = ForkActivities(deps.run_log, code.store, code.roots, code.keeper)
    ours: list[Callable[..., Any]] = [run.prepare, SlotActivities(shared.slots).wait]
    ours += [mirror.append, mirror.finish, mirror.rebuild, events.register, events.emit]
    ours += [forks.page, forks.workspace, ChildActivities(deps.run_log).find]
    ours += [RestoreActivities(code.store, deps.run_log).restore_point]
    ours.append(ContentActivities(code.contents).keep)
    return [*ours, memory.embed, *build_code_activities(code, shared)]


def build_code_activities(deps: CodeDependencies, shared: Shared | None = None) -> list[Callable[..., Any]]:
    """Returns the activities that call the code of agents: all that a process registers which only serves its own.

    Args:
        deps: what they are built from.
        shared: what they share with other activities of the process; `None` means that there are none.
    """
    shared = shared or Shared(deps)
    runner = ToolRunner(deps.tool_loop)
    find, most = deps.catalog.find, deps.limits.max_bytes
    serve = _served_by(deps, shared, runner)
    model = _model_activities(deps, shared, runner)
    approvals = ApprovalActivities(deps.catalog, runner, deps.roots)
    tools = [serve(tool).definition() for tool in deps.catalog.tools().values()]
    code: list[Callable[..., Any]]
    code = [OutputActivities(find, runner, most, deps.telemetry).validate]
    code.append(GuardActivities(find, runner, most, deps.telemetry).guard)
    code.append(PromptActivities(find, runner, deps.lifespans, min(most, MAX_INPUT_BYTES)).write)
    code += [code_ready, approvals.check, model.call]
    return [*code, *tools, UnservedActivities(deps.catalog, serve).definition()]


def _served_by(deps: CodeDependencies, shared: Shared, runner: ToolRunner) -> Callable[[Tool], ToolActivity]:
    """Returns what makes the activity of a tool."""
    images = ImageKeeper(deps.images)
    ledger = LedgerCalls(deps.ledger, runner, deps.limits, is_required=deps.ledger_required)

    def serve(tool: Tool) -> ToolActivity:
        return ToolActivity(
            tool,
            find=deps.catalog.find,
            runner=runner,
            ledger=ledger,
            slots=shared.slots,
            finished=shared.finished,
            limits=deps.limits,
            roots=deps.roots,
            bus=deps.bus,
            topics=deps.topics,
            agents=deps.agents,
            stages=deps.stages,
            images=images,
            memories=deps.memories,
            max_result=deps.max_result,
            sandbox=deps.sandbox,
            http=deps.http,
            telemetry=deps.telemetry,
            lifespans=deps.lifespans,
            keeper=deps.keeper,
            folders=deps.folders,
            own_queue=deps.own_queue,
        )

    return serve


def _model_activities(deps: CodeDependencies, shared: Shared, runner: ToolRunner) -> ModelActivities:
    return ModelActivities(
        ModelSources(deps.models, deps.catalog.find, runner),
        deps.store,
        shared.writer,
        runner=runner,
        lifespans=deps.lifespans,
        slots=shared.slots,
        finished=shared.finished,
        limits=deps.limits,
        deltas=Deltas(deps.bus),
        contexts=shared.contexts,
        attached=Attached(deps.contents),
        provider=deps.models.provider,
        retry_for=deps.models.retry_for,
        telemetry=deps.telemetry,
    )
