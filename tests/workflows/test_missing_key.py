"""Encrypted runs where their key is missing: what is not encrypted is shown, and the message names the key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.client.holdfast import Holdfast
from holdfast.errors import PayloadUnreadable
from holdfast.ops.doctor import RunFinder, Verdict, Verifier
from holdfast.storage.database import open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.mirror import SurrealStore
from holdfast.storage.payloads.data_converter import data_converter
from holdfast.temporal.connection import connect_temporal
from holdfast.temporal.run_log import TemporalRunLog
from tests.support.lab import Lab, eventually
from tests.support.many_turns import count_to, counter

WORDS = "encrypted with key 'lost', and HOLDFAST_ENCRYPTION_KEY is not set"


async def test_one_run_without_its_key_hides_no_other(lab: Lab) -> None:
    """`list` and `doctor verify --all` continue with the other runs."""
    keys, database = KeyRing.parse(f"lost:{new_key()}"), open_database("mem://")
    assert lab.settings.temporal_address is not None
    client = await connect_temporal(lab.settings.temporal_address, converter=data_converter(None, keys))
    sealed = replace(lab, client=client, holdfast=Holdfast(client, task_queue=lab.settings.temporal_task_queue))
    store = SurrealStore(database)
    lab.server.respond = count_to(2)
    async with sealed.worker(counter, store=SurrealStore(database, keys)):
        secret = await sealed.holdfast.run("counter", "Count in secret.")
    async with lab.worker(counter, store=store):
        plain = await lab.holdfast.run("counter", "Count.")

        async def listed() -> bool:
            return {run.run_id async for run in lab.holdfast.list()} >= {secret.run_id, plain.run_id}

        await eventually(listed)
        found = {run.run_id: run async for run in lab.holdfast.list()}
        assert found[plain.run_id].input == "Count."
        assert (found[secret.run_id].input, found[secret.run_id].status) == ("", "completed")
        assert WORDS in (found[secret.run_id].unreadable or "")
        handle = lab.holdfast.handle(secret.run_id)
        with pytest.raises(PayloadUnreadable, match=WORDS):
            await handle.status()
        with pytest.raises(PayloadUnreadable, match=WORDS):
            await store.run(secret.run_id)
        assert (await handle.listed()).agent == "counter"
        verifier = Verifier(store, TemporalRunLog(lab.client), quick=True)
        finder = RunFinder(lab.client, lab.settings.temporal_task_queue, store)
        reports = {run_id: await verifier.report(run_id) async for run_id in finder.all_runs()}
        assert reports[plain.run_id].verdict == Verdict.HEALTHY
        assert (reports[secret.run_id].verdict, WORDS in reports[secret.run_id].note) == (Verdict.UNCHECKED, True)
    await database.close()
