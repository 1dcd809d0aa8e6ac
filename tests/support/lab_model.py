"""The model of a lab, which answers the repeated attempt of a call as it answered the lost one.

A busy machine may keep a worker from its heartbeats. Temporal then gives up the attempt and starts another, whose
request must not use up a reply that the test has queued for a later call.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from openai import AsyncOpenAI
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from typing_extensions import override

from holdfast.activities.heartbeat import given_up
from holdfast.models.openai import IDLE_TIMEOUT, CompletionsModel
from holdfast.models.provider import Provider
from holdfast.scripted.chat import ChatReply, ChatRequest
from holdfast.testing import ModelServer
from holdfast.testing.model_server import RecordedRequest
from holdfast.testing.observed_calls import Interceptor

CALL, ATTEMPT = "x-lab-call", "x-lab-attempt"
"""Headers of requests: the call, which has another name once an attempt of it has failed, and the attempt."""


class LabServer(ModelServer):
    """A model server that knows which requests are attempts of the same call, and gives them the same replies.

    A call that a provider's failure ends, or the end of a worker, is another call when it is retried.
    """

    def __init__(self) -> None:
        super().__init__()
        self._replies_of: dict[str, list[ChatReply]] = {}
        self._requests_of: Counter[tuple[str, str]] = Counter()

    @override
    def _next_reply(self, request: ChatRequest, record: RecordedRequest) -> ChatReply:
        call, attempt = request.headers.get(CALL), request.headers.get(ATTEMPT)
        if call is None or attempt is None:
            return super()._next_reply(request, record)
        replies, place = self._replies_of.setdefault(call, []), self._requests_of[call, attempt]
        if place >= len(replies):
            replies.append(super()._next_reply(request, record))
        self._requests_of[call, attempt] += 1
        return replies[place]


class FailedAttempts(Interceptor):
    """Counts the attempts of each activity that failed by themselves, and were not given up by Temporal."""

    def __init__(self) -> None:
        self._failed: Counter[str] = Counter()

    def headers(self) -> dict[str, str]:
        """Returns the headers of requests that the running activity sends."""
        if not activity.in_activity():
            return {}
        return {CALL: f"{_name()}/{self._failed[_name()]}", ATTEMPT: str(activity.info().attempt)}

    def count(self) -> None:
        """Counts an attempt of the running activity."""
        self._failed[_name()] += 1

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Watched(next, self)


class LabModel(CompletionsModel):
    """The model that the settings of a worker would name, whose requests say which call they belong to.

    Args:
        url: of the server.
        attempts: those of the worker.
    """

    def __init__(self, url: str, attempts: FailedAttempts) -> None:
        super().__init__(_Provider(url, attempts), "test-model")


class _Provider(Provider):
    def __init__(self, url: str, attempts: FailedAttempts) -> None:
        super().__init__(api_key="test", base_url=url, read_timeout=IDLE_TIMEOUT)
        self._attempts = attempts

    @override
    async def client(self) -> AsyncOpenAI:
        return (await super().client()).with_options(default_headers=self._attempts.headers())


class _Watched(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, failed: FailedAttempts) -> None:
        super().__init__(following)
        self._failed = failed

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except ApplicationError:
            if not given_up():
                self._failed.count()
            raise


def _name() -> str:
    info = activity.info()
    return f"{info.workflow_run_id}/{info.activity_id}"
