"""`tool`: calls one tool of an agent, without a run and without a model."""

from __future__ import annotations

import asyncio
import json as json_
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from temporalio.service import RPCError

from holdfast._util.concurrency import beside
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import ContextOption, JsonOption, context_of, seconds
from holdfast.cli.program import command
from holdfast.cli.registry import opened_registry
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import cut, one_line, wrapped
from holdfast.cli.served import advised
from holdfast.cli.session import Session, connected
from holdfast.cli.started_run import check_folder
from holdfast.cli.tool_arguments import described, parsed_arguments
from holdfast.errors import UnknownAgent, UsageError
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.client.tool_runs import ExecutedTool
    from holdfast.types import AgentSpec, ToolSpec

PROGRESS_INTERVAL = 1.0  # seconds between two looks at the progress of a call

EXAMPLES = """
    $ tool researcher
    $ tool researcher list_files --workspace docs
    $ tool researcher read_file path=a.md --workspace docs
    $ tool clerk stock article=rope --json
    $ tool clerk pay amount=500 --yes --id pay-1
"""


async def tool(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="The agent's name, as `agents` shows it.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="TOOL", help="The tool. Default: lists the agent's tools.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="The arguments of the tool, each a word.", show_default=False),
    ] = None,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Approve the call, if the tool needs a person's approval.")
    ] = False,
    call_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Idempotency key: the same call under the same id is made once."),
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder that the tool works in. Default: a new, empty one.")
    ] = None,
    context: ContextOption = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="S", callback=seconds, help="Seconds to wait; then the call is cancelled."),
    ] = None,
    json: JsonOption = False,
) -> ExitCode:
    """Calls one tool of an agent, without a run and without a model.

    The worker makes the call, as durably as in a run: it survives a crash, and
    takes effect at most once. Values are read as the tool's types say: text as it
    is, numbers, true and false, lists and objects as JSON. Without TOOL, the
    command lists the agent's tools and their arguments. Exit code 1: the tool failed.
    """
    out = Output(json=json)
    settings = Settings.load()
    spec = await _spec(settings, agent, is_needed=name is None)
    if name is None:
        assert spec is not None, "it is needed"
        _list(out, spec)
        return ExitCode.OK
    arguments = parsed_arguments(values or [], _found(spec, name))
    check_folder(workspace)
    facts = context_of(context)
    call_id = call_id or f"tool-{name}-{uuid.uuid4().hex[:12]}"
    async with connected(out, whole=True) as session:
        with advised(session.compare_worker(), agent):
            async with beside(_show_progress(session, call_id)):
                done = await session.runs.execute_tool(
                    agent,
                    name,
                    arguments,
                    id=call_id,
                    approve=yes,
                    timeout=timeout,
                    context=facts,
                    workspace=workspace,
                )
    return _show(out, done)


async def _spec(settings: Settings, name: str, *, is_needed: bool) -> AgentSpec | None:
    """Returns an agent with its tools; `None` if only the worker knows it.

    Raises:
        UnknownAgent: it is needed, and neither the code nor the registry has it.
    """
    from holdfast.agents.catalog import AgentCatalog  # noqa: PLC0415 - `--help` needs no agents
    from holdfast.agents.directory import AgentDirectory  # noqa: PLC0415

    catalog = AgentCatalog.load(settings.holdfast_agents)
    async with opened_registry(settings) as registry:
        try:
            return await AgentDirectory(catalog, registry).find(name)
        except UnknownAgent:
            if is_needed:
                raise
            return None


def _found(spec: AgentSpec | None, name: str) -> ToolSpec | None:
    if spec is None:
        return None
    tools = {each.name: each for each in spec.tools}
    if name not in tools:
        known = ", ".join(tools) or "none"
        raise UsageError(f"agent {spec.name!r} has no tool {name!r}; its tools are: {known}")
    return tools[name]


def _list(out: Output, spec: AgentSpec) -> None:
    if out.json:
        out.document([each.model_dump(mode="json") for each in spec.tools])
        return
    for each in spec.tools:
        out.say((each.name, "bold"), (f"  {', '.join(_traits(each))}" if _traits(each) else "", "dim"))
        out.say("  ", cut(one_line(each.description) or "(no description)", out.width - 2))
        if takes := described(each):
            out.say((wrapped(f"takes {takes}", out.width, indent=2), "dim"))
    if not spec.tools:
        out.say(f"agent {one_line(spec.name)} has no tools")
    elif callable_ones := [each for each in spec.tools if each.operation is None]:
        out.note(f"call one:  {command('tool', spec.name, callable_ones[0].name)} NAME=VALUE …")


def _traits(tool: ToolSpec) -> list[str]:
    told = {
        "only in runs": tool.operation is not None,
        "read-only": tool.read_only,
        "idempotent": tool.idempotent,
        "destructive": tool.destructive,
        "needs approval": tool.approval == "always",
        "may need approval": tool.approval == "condition",
    }
    return [words for words, is_so in told.items() if is_so]


async def _show_progress(session: Session, call_id: str) -> None:
    """Shows on a terminal how far the call is, as the tool reports it."""
    from holdfast.temporal.live_progress import live_progress  # noqa: PLC0415 - `--help` needs no client

    handle = session.runs.temporal.get_workflow_handle(call_id)
    while True:
        await asyncio.sleep(PROGRESS_INTERVAL)
        with suppress(RPCError):  # it has not begun, or the server is unavailable, which the call itself tells
            for made in await live_progress(await handle.describe(), session.runs.temporal.data_converter):
                session.out.status(str(made))


def _show(out: Output, done: ExecutedTool) -> ExitCode:
    if out.json:
        fields = ("id", "content", "error", "files", "seconds")
        out.document({name: getattr(done, name) for name in fields})
    elif done.error is not None:
        out.error(done.error)
    else:
        is_data = isinstance(done.content, dict | list)
        out.say(json_.dumps(done.content, indent=2, ensure_ascii=False) if is_data else done.text)
    for file in done.files:
        out.note(f"wrote {file}")
    return ExitCode.FAILED if done.error is not None else ExitCode.OK
