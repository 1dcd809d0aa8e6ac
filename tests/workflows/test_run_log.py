"""How long a run's log waits for a worker to answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast import Agent, WorkerUnavailable, run_log
from holdfast.run_log import TemporalRunLog
from holdfast.testing import Reply
from tests.lab import Lab

NO_TIME = timedelta(milliseconds=1)  # no worker answers as fast
MOMENT = timedelta(milliseconds=500)
AMPLE = timedelta(seconds=60)

speaker = Agent(name="speaker", system_prompt="You speak.")


async def finished_run(lab: Lab) -> str:
    """A run that has ended and is in no worker's memory."""
    lab.server.reply(Reply(text="Said."))
    handle = await lab.holdfast.start("speaker", "Speak.")
    await handle.result(60)
    return handle.id


async def test_a_busy_worker_is_asked_again(lab: Lab) -> None:
    """Broken: a long run that a loaded worker takes seconds to replay cannot be read at all."""
    async with lab.worker(speaker):
        run_id = await finished_run(lab)
        log = TemporalRunLog(lab.client, patience=(NO_TIME, AMPLE))
        messages = [message.content async for message in log.messages(run_id)]
    assert messages == ["You speak.", "Speak.", "Said."]


async def test_patience_ends(lab: Lab) -> None:
    """Broken: whoever asks for a run while its worker is stuck waits for ever."""
    async with lab.worker(speaker):
        run_id = await finished_run(lab)
        log = TemporalRunLog(lab.client, patience=(NO_TIME, NO_TIME))
        with pytest.raises(WorkerUnavailable, match=rf"no worker answered for run '{run_id}' within 0\.002 s"):
            await log.standing(run_id)


async def test_nobody_is_waited_for_where_nobody_polls(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken: with the worker gone each question takes half a minute to be refused."""
    async with lab.worker(speaker):
        run_id = await finished_run(lab)
    monkeypatch.setattr(run_log, "STILL_POLLING", timedelta())
    log = TemporalRunLog(lab.client, patience=(MOMENT, AMPLE))
    with pytest.raises(WorkerUnavailable, match=r"within 0\.5 s"):
        await log.standing(run_id)
