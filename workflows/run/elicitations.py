"""Questions of MCP servers during a call, which people answer as those of the agent itself."""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import shortened
    from holdfast.elicitation import Elicitation, ServerAnswer, asked_text, options_of, read_answer
    from holdfast.progress import Wait
    from holdfast.types import ToolCall, ToolResult
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.decisions import Decisions
    from holdfast.workflows.run.people import People
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.waiting import QUESTION

SHOWN_CHARS = 120  # of a question, where people see what a run waits for
WITHDRAWN = "the turn was stopped while a person was asked, so the server did not continue the call"


class Elicitations:
    """Asks people what a server asks. Each question is a wait of its own, which holds no slot of a worker.

    Args:
        state: the run.
        decisions: what has been decided.
        people: waits.
    """

    def __init__(self, state: RunState, decisions: Decisions, people: People) -> None:
        self._state = state
        self._decisions = decisions
        self._people = people

    def pending(self, call: ToolCall) -> Elicitation | None:
        """Returns what is asked, or was answered, of a call that has not been continued yet; `None` if nothing is."""
        begins = self._prefix(call)
        for wait in self._state.open_waits.values():
            if wait.id.startswith(begins):
                return Elicitation.model_validate(wait.data["elicitation"])
        known = self._state.decisions.decisions
        found = [wait_id for wait_id, each in known.items() if wait_id.startswith(begins) and each.data is not None]
        return Elicitation.model_validate(known[found[-1]].data) if found else None

    async def answered(self, call: ToolCall, asked: Elicitation) -> Elicitation | ToolResult | None:
        """Waits until all questions are answered.

        Returns:
            The questions with their answers; or the result of the call, if the turn was stopped; `None` means that the
            run continues as new before.
        """
        while (question := asked.unanswered) is not None:
            wait_id = f"{self._prefix(call)}{len(asked.answers) + 1}"
            decision = self._decisions.of(wait_id)
            if decision is None:
                wait = self._state.open_waits.get(wait_id) or self._wait(wait_id, call, asked)
                try:
                    if not await self._people.decide(wait):
                        return None
                except asyncio.CancelledError:
                    if self._state.keeps_waits:
                        raise
                    return ToolResult(error=WITHDRAWN)
                decision = self._decisions.of(wait_id)
            assert decision is not None, "a wait that has ended has a decision"
            if decision.outcome == "withdrawn":
                return ToolResult(error=WITHDRAWN)
            answer = ServerAnswer(question=question, action="cancel")
            if decision.outcome == "answered":
                answer = read_answer(decision.text or "", question)
            asked = asked.answered(answer)
        return asked

    def forget(self, call: ToolCall) -> None:
        """Forgets the answers of a call, as they are acted on."""
        begins = self._prefix(call)
        for wait_id in [each for each in self._state.decisions.decisions if each.startswith(begins)]:
            self._decisions.forget_details(wait_id)

    def _prefix(self, call: ToolCall) -> str:
        return f"{self._state.wait_id(call)}{QUESTION}"

    def _wait(self, wait_id: str, call: ToolCall, asked: Elicitation) -> Wait:
        question = asked.unanswered
        assert question is not None, "it is asked"
        shown = shortened(" ".join(question.message.split()), SHOWN_CHARS)
        return Wait(
            id=wait_id,
            kind="question",
            since=workflow_time.now(),
            until=self._people.deadline(),
            what=f"the answer to: {shown}",
            data={
                "call": call.id,
                "question": asked_text(asked.server, question),
                "options": options_of(question),
                "elicitation": asked.model_dump(mode="json"),
            },
        )


def cancelled(asked: Elicitation) -> Elicitation:
    """Returns questions that there is nobody to answer."""
    while (question := asked.unanswered) is not None:
        asked = asked.answered(ServerAnswer(question=question, action="cancel"))
    return asked


def check_answer(wait: Wait, text: str) -> None:
    """Checks an answer to a question of a server.

    Raises:
        ValueError: the server would not accept it; the message says why.
    """
    question = Elicitation.model_validate(wait.data["elicitation"]).unanswered
    assert question is not None, "it is asked"
    read_answer(text, question)
