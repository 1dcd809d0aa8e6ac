"""The guarantees of every store of conversations, as a check that each implementation passes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from holdfast.ports.conversations import ConversationStore, SavedConversation
from holdfast.storage.assertions import same

SAMPLE = SavedConversation(
    run_id="run ⟩ `'",
    chain="first",
    agent="clerk",
    head=7,
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    messages=2,
    text='{"messages":[{"role":"user","content":"漢字 \\u0000"},{"role":"assistant","content":"😀"}]}\n',
)


async def check_conversations(store: ConversationStore) -> None:
    """Checks that a store keeps the latest state of each conversation.

    Args:
        store: without conversations of the sample's run.

    Raises:
        AssertionError: it does not.
    """
    same(await store.get(SAMPLE.run_id), None, "nothing is known of a run that was not saved")
    await store.put(SAMPLE)
    await store.put(SAMPLE)
    same(await store.get(SAMPLE.run_id), SAMPLE, "a conversation comes back unchanged")
    longer = replace(SAMPLE, head=12, messages=4, text=SAMPLE.text * 50_000)
    await store.put(longer)
    same(await store.get(SAMPLE.run_id), longer, "a later state replaces the one before")
    await store.put(SAMPLE)
    same(await store.get(SAMPLE.run_id), longer, "an earlier state does not")
    other = replace(SAMPLE, run_id="other")
    states = [replace(other, head=head) for head in range(20)]
    await asyncio.gather(*(store.put(state) for state in reversed(states)), *(store.put(state) for state in states))
    same(await store.get("other"), states[-1], "of concurrent writes, the latest state stays")
    again = replace(SAMPLE, chain="second", head=3)
    await store.put(again)
    same(await store.get(SAMPLE.run_id), again, "a new run of the same id replaces the former one")
