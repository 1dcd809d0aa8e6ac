"""Search attributes of runs, for Temporal's UI and `list`."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

AGENT_NAME = SearchAttributeKey.for_keyword("AgentName")
AGENT_STATUS = SearchAttributeKey.for_keyword("AgentStatus")
AGENT_TURN = SearchAttributeKey.for_int("AgentTurn")
AGENT_TOKENS = SearchAttributeKey.for_int("AgentTokens")
AGENT_COST = SearchAttributeKey.for_float("AgentCostUsd")
AGENT_STARTED_AT = SearchAttributeKey.for_datetime("AgentStartedAt")
AGENT_FINISHED_AT = SearchAttributeKey.for_datetime("AgentFinishedAt")
AGENT_PARENT = SearchAttributeKey.for_keyword("AgentParent")
AGENT_ROOT = SearchAttributeKey.for_keyword("AgentRoot")
AGENT_TAGS = SearchAttributeKey.for_keyword_list("AgentTags")
AGENT_WAITS_FOR = SearchAttributeKey.for_keyword_list("AgentWaitsFor")
AGENT_STAGE = SearchAttributeKey.for_keyword("AgentStage")

SEARCH_ATTRIBUTES = {
    "AgentName": "Keyword",
    "AgentStatus": "Keyword",
    "AgentTurn": "Int",
    "AgentTokens": "Int",
    "AgentCostUsd": "Double",
    "AgentStartedAt": "Datetime",
    "AgentFinishedAt": "Datetime",
    "AgentParent": "Keyword",
    "AgentRoot": "Keyword",
    "AgentTags": "KeywordList",
    "AgentWaitsFor": "KeywordList",
    "AgentStage": "Keyword",
}
"""Name and type in the spelling of Temporal's tools; a namespace must have all of them."""
