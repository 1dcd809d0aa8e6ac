"""`chat`: a conversation with an agent that survives crashes, and can continue another day."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.attaching import AttachOption, with_files
from holdfast.cli.chatting import Chat
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import (
    ApprovalTimeoutOption,
    ContextOption,
    JsonOption,
    RequireApprovalOption,
    SettingOption,
    context_of,
    seconds,
    settings_of,
)
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.served import advised
from holdfast.cli.session import connected
from holdfast.errors import UsageError

EXAMPLES = """
    $ chat researcher --workspace docs
    $ chat researcher --id notes-1
    $ chat researcher --id notes-1 --message "And then?"
    $ chat researcher --require-approval write_file
"""


async def chat(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="The agent's name, as `agents` shows it.", show_default=False)
    ],
    *,
    session_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="The session to continue, or to begin. Default: a new one."),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option("--message", metavar="TEXT", help="Send one message, print the answer and return; - reads stdin."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Idempotency key of --message: sent again, it is taken once."),
    ] = None,
    attach: AttachOption = None,
    workspace: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder that the agent works in. Default: a new, empty one."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="M", help="The model. Default: the agent's, else the worker's.")
    ] = None,
    setting: SettingOption = None,
    idle_limit: Annotated[
        float | None,
        typer.Option(metavar="S", callback=seconds, help="Seconds without a message after which the session ends."),
    ] = None,
    context: ContextOption = None,
    require_approval: RequireApprovalOption = None,
    approval_timeout: ApprovalTimeoutOption = None,
    json: JsonOption = False,
) -> ExitCode:
    """Talks with an agent in a session that stays open.

    You can leave and come back after weeks. Enter sends, Alt+Enter begins a new line,
    the arrow keys bring back earlier messages. Ctrl-C stops the answer, Ctrl-D leaves,
    and `chat AGENT --id ID` continues. An open session keeps
    the workspace, the model, the limits and the approvals with which it began.
    """
    out = Output(json=json)
    if json and message is None:
        raise UsageError("--json needs --message")
    if attach and message is None:
        raise UsageError("--attach needs --message")
    if message is None and not sys.stdin.isatty():
        raise UsageError("chat needs a terminal; to send one message from a script, use --message")
    text = sys.stdin.read() if message == "-" else message
    facts, settings = context_of(context), settings_of(setting)
    name = session_id or f"chat-{uuid.uuid4().hex[:8]}"
    async with connected(out, whole=True) as session:
        with advised(session.compare_worker(), agent):
            talk = Chat(
                session,
                session.runs.session(
                    name,
                    agent,
                    workspace=workspace,
                    model=model,
                    model_settings=settings,
                    idle_limit=idle_limit,
                    context=facts,
                    approve=require_approval,
                    approval_timeout=approval_timeout,
                ),
            )
            if text is not None:
                return await talk.once(with_files(text, attach), key=key)
            await talk.until_left()
    out.note(f"the session stays open:  {command('chat', agent)} --id {name}")
    return ExitCode.OK
