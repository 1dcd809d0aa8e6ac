"""`transcript`: the messages of a run."""

from __future__ import annotations

from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.render.output import Output
from holdfast.cli.render.transcript import show_message
from holdfast.cli.session import connected
from holdfast.errors import WorkerUnavailable

EXAMPLES = """
    $ transcript researcher-3f9a12bc
    $ transcript researcher-3f9a12bc --json > transcript.json
"""


async def transcript(run_id: RunIdArgument, json: JsonOption = False) -> None:
    """Prints the messages of a run in full.

    These are the system prompt, the input, the model's answers and the results of
    tools. If no worker answers, they are those that Temporal's history has.
    """
    out = Output(json=json)
    messages = []
    async with connected(out) as session:
        run = session.recorded_run(run_id, has_worker=await session.has_worker())
        try:
            async for message in run.transcript():
                messages.append(message.model_dump(mode="json"))
                if not json:
                    show_message(out, message)
        except WorkerUnavailable as error:
            out.note(str(error))
    if json:
        out.document(messages)
