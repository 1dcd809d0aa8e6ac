"""Guards and the type of answers, as a run knows them and carries them over continue-as-new."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from holdfast.answers import OutputSpec
from holdfast.model_reply import ModelReply
from holdfast.protocol import CarriedState, Plan, RunRequest
from holdfast.types import AgentSpec, Usage
from holdfast.workflows.run.carry import carried_state, resumed
from holdfast.workflows.run.state import RunState
from holdfast.workflows.run.turn import Finish, next_step

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def begun(**spec: Any) -> RunState:
    """A run that has just begun."""
    plan = Plan(spec=AgentSpec(name="a", **spec), timeout=60, expected_model="m", workspace="/w")
    request = RunRequest(agent="a", input="Ada asks")
    return RunState.begin("run", request, plan, started_at=NOW, now=NOW, chain="c")


def continued(state: RunState) -> tuple[RunState, str]:
    """The next execution of a run, and the JSON that it was given."""
    text = carried_state(state, NOW, "e", acked=state.head).model_dump_json(exclude_unset=True)
    carried = CarriedState.model_validate_json(text)
    return resumed("run", state.request, carried, now=NOW), text


def reply(text: str) -> ModelReply:
    """An answer."""
    return ModelReply(content=text, model="m", finish_reason="stop", usage=Usage(), seconds=1)


def test_a_reply_is_checked_by_the_next_execution() -> None:
    """A run that continues as new before its reply is checked checks it then, and remembers its repairs."""
    state = begun(output=OutputSpec(json_schema={"type": "object"}), output_guards=["g"])
    state.checks.repairs = 1
    state.record_reply(NOW, reply("{}"))
    assert (state.answer, state.output) == ("", ""), "nothing is shown that no guard has passed"
    after, _ = continued(state)
    assert (after.checks.reply, after.checks.repairs, after.answer) == ("{}", 1, "")
    step = next_step(after.last_message, pending=[], finish_reason=after.finish_reason, turns=1, max_turns=1)
    assert step == Finish()


def test_messages_are_guarded_by_the_next_execution() -> None:
    """A run that continues as new before its messages are guarded has them guarded then; one without guards none."""
    after, _ = continued(begun(input_guards=["g"]))
    assert [text.text for text in after.checks.pending] == ["Ada asks"]
    state = begun()
    state.record_reply(NOW, reply("Yes."))
    assert not state.checks.pending
    assert '"checks"' not in continued(state)[1], "a run that uses none of it carries nothing of it"
