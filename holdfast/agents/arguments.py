"""Arguments of tools: their JSON schema, and the parsing of the JSON text that a model writes."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from types import FrameType, SimpleNamespace
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, to_jsonable_python

from holdfast.agents.docstring import Docstring
from holdfast.errors import AgentDefinitionError
from holdfast.rejection import place_of
from holdfast.types import clean_text

SHOWN_ERRORS = 10  # wrong arguments named in one message; a model corrects the first few and retries
SHOWN_VALUE_CHARS = 80  # of each wrong value; enough to recognize it


class BadArguments(ValueError):
    """Arguments do not match their function; the message says which, and what is accepted."""


class Arguments:
    """The arguments of a function that a model may pass.

    Attributes:
        schema: their JSON schema.
        names: the parameters that a model may pass.
        injected: names of the parameters that the worker fills in; they are not in the schema.
        takes_self: whether the function is a method that needs an instance.
    """

    def __init__(self, function: Callable[..., Any], docstring: Docstring, injected: type) -> None:
        """Reads a function's signature.

        Args:
            function: a plain function or a method, bound or not.
            docstring: describes the parameters that have no description in their annotation.
            injected: the worker fills in parameters that are annotated with this type.

        Raises:
            AgentDefinitionError: the signature cannot be described to a model.
        """
        parameters = list(inspect.signature(function).parameters.values())
        self.takes_self = _is_self(parameters)
        types = _parameter_types(function)
        given: list[inspect.Parameter] = []
        names_injected: list[str] = []
        for parameter in parameters[self.takes_self :]:
            _check_kind(function, parameter)
            annotation = types[parameter.name]
            if annotation in (injected, injected | None):
                names_injected.append(parameter.name)
            else:
                given.append(parameter.replace(annotation=annotation))
        self.injected = tuple(names_injected)
        self.names = tuple(parameter.name for parameter in given)
        self._model = _build_model(function, given, docstring)
        self.schema = without_titles(self._model.model_json_schema(schema_generator=PlainSchema))

    def parse(self, text: str) -> dict[str, Any]:
        """Parses JSON text and returns keyword arguments; blank text means no arguments.

        Raises:
            BadArguments: the text is not JSON or does not match the function.
        """
        try:
            model = self._model.model_validate_json(clean_text(text).strip() or "{}")
        except ValidationError as error:
            raise self.explained(error) from None
        return {name: getattr(model, _field_name(number)) for number, name in enumerate(self.names)}

    def explained(self, error: ValidationError) -> BadArguments:
        """Returns what is wrong with arguments, and what is accepted, in words for the model."""
        found = error.errors(include_url=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            problem = f"The arguments are not well-formed JSON ({found[0]['msg'].removeprefix('Invalid JSON: ')})."
        else:
            lines = [f"- {_describe_error(detail)}" for detail in found[:SHOWN_ERRORS]]
            if len(found) > SHOWN_ERRORS:
                lines.append(f"- and {len(found) - SHOWN_ERRORS} more")
            problem = "\n".join(["The arguments are wrong:", *lines])
        return BadArguments(f"{problem}\nPass one JSON object with {describe_schema(self.schema)}.")


class PlainSchema(GenerateJsonSchema):
    """Omits defaults that JSON cannot express; the function still applies them."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


def _is_self(parameters: list[inspect.Parameter]) -> bool:
    return bool(parameters) and parameters[0].name == "self" and parameters[0].annotation is inspect.Parameter.empty


def _check_kind(function: Callable[..., Any], parameter: inspect.Parameter) -> None:
    fault = None
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        fault = f"{stars}{parameter.name} cannot be described to a model; name each parameter"
    elif parameter.kind is parameter.POSITIONAL_ONLY:
        fault = f"parameter {parameter.name!r} is positional-only; tools are called by parameter name"
    elif parameter.annotation is parameter.empty:
        fault = f"parameter {parameter.name!r} needs a type, such as {parameter.name}: str"
    elif isinstance(parameter.default, FieldInfo):
        fault = f"parameter {parameter.name!r}: put Field(...) into Annotated[type, Field(...)], the default after '='"
    if fault:
        raise AgentDefinitionError(f"tool {function.__qualname__}: {fault}")


def _parameter_types(function: Callable[..., Any]) -> dict[str, Any]:
    """Resolves annotations except the return type, which is not needed and may exist for type checkers only."""
    plain = inspect.unwrap(function)
    names: dict[str, Any] = getattr(plain, "__globals__", {})
    try:
        annotations = {name: hint for name, hint in plain.__annotations__.items() if name != "return"}
        holder = SimpleNamespace(__annotations__=annotations)
        try:
            return get_type_hints(holder, globalns=names, include_extras=True)
        except NameError:
            return get_type_hints(holder, globalns=names, localns=_names_around(names), include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise AgentDefinitionError(
            f"tool {function.__qualname__}: a parameter's type cannot be resolved: {error}; "
            "types of parameters must be importable at run time, not under TYPE_CHECKING"
        ) from error


def _names_around(module_names: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the local names of the module's functions on the call stack, as types may be defined there."""
    found: dict[str, Any] = {}
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  inspect.currentframe() may be None for type checkers
    while frame:
        if frame.f_globals is module_names:
            found = {**frame.f_locals, **found}
        frame = frame.f_back
    return found


def _build_model(
    function: Callable[..., Any], parameters: list[inspect.Parameter], docstring: Docstring
) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for number, parameter in enumerate(parameters):
        try:
            TypeAdapter(parameter.annotation).json_schema(schema_generator=PlainSchema)
            described = FieldInfo.from_annotation(parameter.annotation).description
        except (PydanticUserError, NameError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise AgentDefinitionError(
                f"tool {function.__qualname__}: parameter {parameter.name!r} has a type that JSON cannot express: "
                f"{reason}"
            ) from error
        settings: dict[str, Any] = {"alias": parameter.name}
        if parameter.default is not parameter.empty:
            settings["default"] = parameter.default
        told = described or _noted(parameter.annotation) or docstring.arguments.get(parameter.name)
        if told and not described:
            settings["description"] = told
        fields[_field_name(number)] = (parameter.annotation, Field(**settings))
    return create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)


def _noted(annotation: Any) -> str | None:
    """Returns the text in `Annotated[type, "text"]`, which other frameworks read as the description."""
    notes = (note for note in getattr(annotation, "__metadata__", ()) if isinstance(note, str))
    return next(notes, None)


def _field_name(number: int) -> str:
    """Returns a parameter's field name in the pydantic model, where names such as `json` or `_x` are reserved."""
    return f"p{number}"


def without_titles(schema: Any) -> Any:
    """Removes the titles that pydantic derives from names: they tell the model nothing and cost tokens each turn."""
    if isinstance(schema, list):
        return [without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    compact: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            compact[key] = {name: without_titles(item) for name, item in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            compact[key] = value
        elif key != "title":
            compact[key] = without_titles(value)
    return compact


def _describe_error(detail: ErrorDetails) -> str:
    where = place_of(detail)
    match detail["type"]:
        case "missing":
            return f"{where}: is required"
        case "extra_forbidden":
            return f"{where}: no such argument"
        case _:
            shown = json.dumps(to_jsonable_python(detail["input"], fallback=repr), ensure_ascii=False)
            shown = shown if len(shown) <= SHOWN_VALUE_CHARS else f"{shown[:SHOWN_VALUE_CHARS]}…"
            return f"{where or 'all arguments'}: {detail['msg']} (got {shown})"


def describe_schema(schema: Mapping[str, Any]) -> str:
    """Returns the properties of an object in short: `path: string (required), max_hits: integer (default 40)`."""
    properties: dict[str, dict[str, JsonValue]] = schema.get("properties", {})
    if not properties:
        return "no properties: {}"
    required = schema.get("required", [])
    described = []
    for name, part in properties.items():
        note = " (required)" if name in required else ""
        if "default" in part:
            note = f" (default {json.dumps(part['default'], ensure_ascii=False)})"
        described.append(f"{name}: {describe_type(part, schema)}{note}")
    return ", ".join(described)


def describe_type(part: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """Returns what a property may be, in short: `array of string or null`."""
    if "$ref" in part:
        part = root["$defs"][part["$ref"].rpartition("/")[2]]
    if "enum" in part:
        return "one of " + ", ".join(json.dumps(choice, ensure_ascii=False) for choice in part["enum"])
    if "const" in part:
        return json.dumps(part["const"], ensure_ascii=False)
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(describe_type(choice, root) for choice in part["anyOf"]))
    if part.get("type") == "array" and "items" in part:
        return f"array of {describe_type(part['items'], root)}"
    return str(part.get("type", "anything"))
