"""Typed answers: the type that an agent declares, its JSON schema, and how answers are validated."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, from_json, to_jsonable_python

from holdfast import _lazy
from holdfast.agents.arguments import PlainSchema, without_titles
from holdfast.agents.user_functions import UserFunction
from holdfast.answers import MAX_REPAIRS, OutputSpec
from holdfast.bounds import shortened
from holdfast.errors import AgentDefinitionError
from holdfast.output_schema import instructions, is_text, json_in, wire_schema
from holdfast.rejection import place_of
from holdfast.types import clean_text

if TYPE_CHECKING:
    import jsonschema
else:  # only agents with typed answers need it
    jsonschema = _lazy.load("jsonschema")

MAX_SCHEMA_BYTES = 64 * 1024
"""Of the schema of an answer: it is part of the definition, and of each request to the model."""
SHOWN_ERRORS = 20  # named in one message; a model corrects them and answers again
MAX_ERROR_CHARS = 2_000  # of one of them; a validator of the user may say anything
SHOWN_VALUE_CHARS = 80  # of each wrong value


class BadOutput(ValueError):
    """An answer is not valid; the message tells the model what to repair."""


class Output:
    """The type of an agent's answers.

    Attributes:
        spec: what the run knows of it.
        validator: the user's own validator; `None` means none.
    """

    def __init__(self, agent: str, wanted: Any, *, retries: int, validator: UserFunction | None = None) -> None:
        """Reads a type.

        Args:
            agent: name of the agent, for messages.
            wanted: what pydantic's TypeAdapter takes, or a JSON schema.
            retries: times that the model may repair an answer.
            validator: called with each valid answer.

        Raises:
            AgentDefinitionError: JSON cannot express the type, its schema is too large, or the schema is not valid.
        """
        if not isinstance(retries, int) or not 0 <= retries <= MAX_REPAIRS:
            raise AgentDefinitionError(f"agent {agent!r}: output_retries={retries!r:.80} must be 0 to {MAX_REPAIRS}")
        self._is_schema = isinstance(wanted, dict)
        self._adapter: TypeAdapter[Any] = TypeAdapter(Any) if self._is_schema else _adapter(agent, wanted)
        schema = wanted if self._is_schema else _schema_of(agent, wanted, self._adapter)
        check_schema(agent, schema)
        self.spec = OutputSpec(json_schema=schema, retries=retries)
        if name := re.sub(r"[^A-Za-z0-9_-]+", "_", str(getattr(wanted, "__name__", "")))[:64].strip("_"):
            self.spec.name = name
        if validator is not None or not self._is_schema:
            self.spec.code = True
        self.validator = validator

    def read(self, text: str) -> Any:
        """Returns the value that the text of a result stands for.

        Raises:
            ValueError: the text is not such a value; the type may have changed since the run.
        """
        if is_text(self.spec.json_schema):
            return self._adapter.validate_python(text)
        return self._adapter.validate_json(text)

    def parse(self, text: str) -> Any:
        """Returns the value that a model has written.

        Raises:
            BadOutput: it is not valid.
            Exception: whatever a validator of the user raises.
        """
        if self._is_schema:
            schema = self.spec.json_schema
            return check_text(text, schema) if self._is_text else from_json(validated(text, schema))
        try:
            return self.read(text if self._is_text else json_in(clean_text(text), self.spec.json_schema))
        except ValidationError as error:
            raise BadOutput(self.explain(error)) from None

    def shown(self, value: Any, written: str | None) -> str:
        """Returns a value as the text of a result, from which `read` makes it again.

        Args:
            value: the value, in full: with its defaults, and converted.
            written: what the model has written, which is returned if `read` does not take the value's own JSON;
                `None` means that the value is another one.

        Raises:
            TypeError: it cannot be expressed, as a validator may return anything.
        """
        if self._is_text and isinstance(value, str):
            return value
        try:
            text = self._adapter.dump_json(value, by_alias=True, warnings="error").decode()
            self.read(text)
        except (PydanticSerializationError, ValueError) as error:
            if written is None:
                raise TypeError(f"a {type(value).__name__} cannot be read again from its JSON: {error}") from None
            return json_in(clean_text(written), self.spec.json_schema)
        return text

    def explain(self, error: ValidationError) -> str:
        """Returns pydantic's errors as a request for a repair."""
        found = error.errors(include_url=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            return not_json(found[0]["msg"].removeprefix("Invalid JSON: "), self.spec.json_schema)
        told = [f"{place_of(each) or 'the answer'}: {each['msg']} (got {_shown(each['input'])})" for each in found]
        return repair_request(told)

    @property
    def _is_text(self) -> bool:
        return is_text(self.spec.json_schema)


def validated(text: str, schema: dict[str, Any]) -> str:
    """Returns the JSON text of an answer that matches a JSON schema.

    Raises:
        BadOutput: it does not.
    """
    answer = json_in(clean_text(text), schema)
    try:
        value = from_json(answer, allow_inf_nan=False)
    except ValueError as error:
        raise BadOutput(not_json(str(error), schema)) from None
    if told := _faults(value, schema):
        raise BadOutput(repair_request(told))
    return answer


def check_text(text: str, schema: dict[str, Any]) -> str:
    """Returns an answer that is any text and matches a JSON schema of a string.

    Raises:
        BadOutput: it does not.
    """
    if told := _faults(text, schema):
        raise BadOutput(repair_request(told))
    return text


def check_schema(agent: str, schema: dict[str, Any]) -> None:
    """Checks the JSON schema of answers.

    Raises:
        AgentDefinitionError: it is not valid, or too large.
    """
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
        jsonschema.Draft202012Validator.check_schema(schema)
    except (jsonschema.SchemaError, TypeError, RecursionError, ValueError) as error:
        reason = error.message if isinstance(error, jsonschema.SchemaError) else str(error)
        raise AgentDefinitionError(f"agent {agent!r}: its output is not a valid JSON schema: {reason}") from None
    if size > MAX_SCHEMA_BYTES:
        raise AgentDefinitionError(
            f"agent {agent!r}: the JSON schema of its output has {size:,} bytes, but at most {MAX_SCHEMA_BYTES:,} are "
            "accepted; use a smaller type, or let a tool write the large part to a file"
        )


def repair_request(told: list[str]) -> str:
    """Returns what is wrong with an answer as a message to the model."""
    shown = [f"- {shortened(each, MAX_ERROR_CHARS)}" for each in told[:SHOWN_ERRORS]]
    if len(told) > SHOWN_ERRORS:
        shown.append(f"- and {len(told) - SHOWN_ERRORS} more")
    return "\n".join(["Your answer is not valid:", *shown, "Answer again, with the whole corrected answer only."])


def not_json(reason: str, schema: dict[str, Any]) -> str:
    """Returns the message to a model that has not written JSON; it may not know that it should."""
    return f"Your answer is not valid JSON: {reason}.\n{instructions(wire_schema(schema))}"


def _faults(value: Any, schema: dict[str, Any]) -> list[str]:
    from referencing import Registry, exceptions  # noqa: PLC0415 - as jsonschema

    # An empty registry, as the default one fetches references to other hosts.
    validator = jsonschema.Draft202012Validator(schema, registry=Registry())
    try:
        found = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    except exceptions.Unresolvable as error:
        return [f"the schema has a reference that leads nowhere: {error}"]
    return [f"{'.'.join(map(str, each.absolute_path)) or 'the answer'}: {each.message[:500]}" for each in found]


def _adapter(agent: str, wanted: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(wanted)
    except (PydanticUserError, NameError, TypeError, IndexError) as error:  # the last one for an empty text
        raise _inexpressible(agent, wanted, error) from error


def _schema_of(agent: str, wanted: Any, adapter: TypeAdapter[Any]) -> dict[str, Any]:
    try:
        schema: dict[str, Any] = without_titles(adapter.json_schema(schema_generator=PlainSchema))
    except (PydanticUserError, NameError, TypeError) as error:
        raise _inexpressible(agent, wanted, error) from error
    return schema


def _inexpressible(agent: str, wanted: Any, error: Exception) -> AgentDefinitionError:
    reason = str(error).partition("\n")[0]
    return AgentDefinitionError(
        f"agent {agent!r}: output_type={wanted!r:.80} is not a type that pydantic can read from JSON: {reason}"
    )


def _shown(value: Any) -> str:
    shown = json.dumps(to_jsonable_python(value, fallback=repr), ensure_ascii=False)
    return shown if len(shown) <= SHOWN_VALUE_CHARS else f"{shown[:SHOWN_VALUE_CHARS]}…"
