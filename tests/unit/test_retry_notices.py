"""What the followers of a run are told about a call that is retried."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import ActivityType
from temporalio.api.workflow.v1 import PendingActivityInfo

from holdfast import names
from holdfast.client.follow import LOST, retry_notice


@pytest.mark.parametrize(
    ("activity", "reason", "told"),
    [
        (names.MODEL_CALL, LOST, f"Model call failed: {LOST}. Retrying (attempt 2)."),
        (
            f"{names.TOOL_PREFIX}pay",
            LOST,
            f"pay failed: {LOST}. Retrying (attempt 2), unless the tool must not run twice.",
        ),
        (f"{names.TOOL_PREFIX}pay", "no room.", "pay failed: no room. Retrying (attempt 2)."),
    ],
)
def test_a_retry_is_told_as_it_is(activity: str, reason: str, told: str) -> None:
    """A tool whose worker was lost is not said to be called again for certain: some tools never are."""
    pending = PendingActivityInfo(activity_type=ActivityType(name=activity), attempt=2)
    assert retry_notice(pending, reason) == told
