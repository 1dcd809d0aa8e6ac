"""Names of span attributes.

Those that begin with `gen_ai.` are OpenTelemetry's semantic conventions for generative AI, version 1.41.0, status
"development": https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai
"""

from __future__ import annotations

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"

CHAT, EXECUTE_TOOL, INVOKE_AGENT = "chat", "execute_tool", "invoke_agent"
"""Values of `OPERATION`; a span's name is one of them and the model, the tool or the agent. The spans of guards and
validators have operations of their own: see `holdfast.ports.telemetry`."""

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
CONVERSATION = "gen_ai.conversation.id"
AGENT = "gen_ai.agent.name"
AGENT_VERSION = "gen_ai.agent.version"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
TOOL = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL = "gen_ai.tool.call.id"

SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
CHECK_TEXT = "holdfast.check.text"
CHECK_REASON = "holdfast.check.reason"
CONTENT = (
    SYSTEM_INSTRUCTIONS,
    INPUT_MESSAGES,
    OUTPUT_MESSAGES,
    TOOL_ARGUMENTS,
    TOOL_RESULT,
    CHECK_TEXT,
    CHECK_REASON,
)
"""What a span has only if the setting `TRACE_CONTENT` asks for it; those of `gen_ai` are JSON."""

ERROR_TYPE = "error.type"
SERVER = "server.address"

STATUS = "holdfast.run.status"
TURNS = "holdfast.run.turns"
TOOL_CALLS = "holdfast.run.tool_calls"
TURN = "holdfast.turn"
ATTEMPT = "holdfast.attempt"
COST = "holdfast.cost_usd"
OUTCOME = "holdfast.tool.outcome"
CHECK_ON = "holdfast.check.on"
CHECK_VERDICT = "holdfast.check.verdict"
TRIED = "holdfast.tried_models"
PARENT_RUN = "holdfast.run.parent"
FORKED_FROM = "holdfast.run.forked_from"
