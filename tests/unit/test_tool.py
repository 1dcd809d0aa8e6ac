"""Tools: the description of a function for the model, and the handling of a call."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import jsonschema
import pytest
from pydantic import BaseModel, Field

from holdfast.agents.results import MAX_ERROR_CHARS
from holdfast.agents.tool import Tool, ToolContext, ToolError, tool
from holdfast.errors import AgentDefinitionError, HoldfastError
from holdfast.types import ToolResult, ToolSpec, clean_text

if TYPE_CHECKING:
    from decimal import Decimal

CONTEXT = ToolContext(run_id="r1", call_id="c1", agent="a", turn=3, attempt=1, workspace=Path("/w"))


class Point(BaseModel):
    """A place."""

    x: int
    title: str = "here"


# --- what the model is told


def plain(a: str, b: int, c: float, d: bool) -> None: ...
def defaults(a: str = "x", b: int | None = None, c: Optional[str] = None) -> None: ...  # noqa: UP045
def choices(a: Literal["up", "down"], b: Literal[1, 2] = 2) -> None: ...
def lists(a: list[int], b: dict[str, float], c: tuple[int, str]) -> None: ...
def models(a: Point, b: list[Point] | None = None) -> None: ...
def annotated(a: Annotated[int, Field(ge=1, le=9, description="from 1 to 9")] = 5) -> None: ...
def nothing() -> None: ...
def anything(a: Any) -> None: ...
def awkward_names(json: str, _x: int, model_config: str, self_: str, title: str = "") -> None: ...
def injected(a: str, context: ToolContext) -> None: ...
def injected_optionally(a: str, context: ToolContext | None = None) -> None: ...
def keyword_only(*, a: str) -> None: ...
def unresolvable_return(a: str) -> Decimal: ...  # type: ignore[empty-body]


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


POINT = {
    "type": "object",
    "description": "A place.",
    "properties": {"x": {"type": "integer"}, "title": {"type": "string", "default": "here"}},
    "required": ["x"],
}
POINT_REF = {"$ref": "#/$defs/Point"}


@dataclass(frozen=True)
class SchemaCase:
    """A function and its schema."""

    function: Callable[..., Any]
    expected: dict[str, Any]


SCHEMAS = [
    SchemaCase(
        plain,
        _object(
            {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "number"}, "d": {"type": "boolean"}},
            *("a", "b", "c", "d"),
        ),
    ),
    SchemaCase(
        defaults,
        _object(
            {
                "a": {"type": "string", "default": "x"},
                "b": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
                "c": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            }
        ),
    ),
    SchemaCase(
        choices,
        _object(
            {"a": {"type": "string", "enum": ["up", "down"]}, "b": {"type": "integer", "enum": [1, 2], "default": 2}},
            "a",
        ),
    ),
    SchemaCase(
        lists,
        _object(
            {
                "a": {"type": "array", "items": {"type": "integer"}},
                "b": {"type": "object", "additionalProperties": {"type": "number"}},
                "c": {
                    "type": "array",
                    "prefixItems": [{"type": "integer"}, {"type": "string"}],
                    "minItems": 2,
                    "maxItems": 2,
                },
            },
            *("a", "b", "c"),
        ),
    ),
    SchemaCase(
        models,
        _object(
            {
                "a": POINT_REF,
                "b": {"anyOf": [{"type": "array", "items": POINT_REF}, {"type": "null"}], "default": None},
            },
            "a",
        )
        | {"$defs": {"Point": POINT}},
    ),
    SchemaCase(
        annotated,
        _object({"a": {"type": "integer", "minimum": 1, "maximum": 9, "description": "from 1 to 9", "default": 5}}),
    ),
    SchemaCase(nothing, _object({})),
    SchemaCase(anything, _object({"a": {}}, "a")),
    SchemaCase(
        awkward_names,
        _object(
            {
                "json": {"type": "string"},
                "_x": {"type": "integer"},
                "model_config": {"type": "string"},
                "self_": {"type": "string"},
                "title": {"type": "string", "default": ""},
            },
            *("json", "_x", "model_config", "self_"),
        ),
    ),
    SchemaCase(injected, _object({"a": {"type": "string"}}, "a")),
    SchemaCase(injected_optionally, _object({"a": {"type": "string"}}, "a")),
    SchemaCase(keyword_only, _object({"a": {"type": "string"}}, "a")),
    SchemaCase(unresolvable_return, _object({"a": {"type": "string"}}, "a")),
]


@pytest.mark.parametrize("case", SCHEMAS, ids=lambda case: case.function.__name__)
def test_schema_follows_the_signature(case: SchemaCase) -> None:
    """The schema describes exactly the arguments of the function."""
    spec = tool(case.function).spec
    assert spec.parameters == case.expected
    jsonschema.Draft202012Validator.check_schema(spec.parameters)
    assert ToolSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_google_docstring_describes_tool_and_arguments() -> None:
    """The model sees the text before `Args:` and the entries in it; an annotation's description has precedence."""

    @tool
    def look_up(city: str, country: str, days: Annotated[int, Field(description="said in the type")] = 1) -> str:
        """Look up the weather.

        Slow: some seconds.

        Args:
            city: Name of the city,
                as its people write it: exactly.
            country (str, optional): Two letters.
            days: said in the docstring

        Returns:
            The weather.
        """
        return f"{city} {country} {days}"

    properties: Any = look_up.spec.parameters["properties"]
    assert look_up.spec.description == "Look up the weather.\n\nSlow: some seconds."
    assert properties["city"]["description"] == "Name of the city, as its people write it: exactly."
    assert properties["country"]["description"] == "Two letters."
    assert properties["days"]["description"] == "said in the type"
    assert "description" not in look_up.spec.parameters


def test_description_without_sections_and_its_replacement() -> None:
    """A docstring without sections is the description; an explicit one replaces it."""

    def short() -> None:
        """Only this: a line with a colon."""

    assert tool(short).spec.description == "Only this: a line with a colon."
    assert tool(description="other")(short).spec.description == "other"
    assert tool(nothing).spec.description == ""


def test_a_numpy_docstring_describes_tool_and_arguments() -> None:
    """The model sees the text before the underlined sections, and the entries of `Parameters`."""

    @tool
    def look_up(city: str, country: str, days: int = 1) -> str:
        """Look up the weather.

        Slow: some seconds.

        Parameters
        ----------
        city : str
            Name of the city,
            as its people write it: exactly.
        country, days
            Anything.

        Returns
        -------
        str
            The weather.
        """  # noqa: D416
        return f"{city} {country} {days}"

    properties: Any = look_up.spec.parameters["properties"]
    assert look_up.spec.description == "Look up the weather.\n\nSlow: some seconds."
    assert properties["city"]["description"] == "Name of the city, as its people write it: exactly."
    assert properties["country"]["description"] == properties["days"]["description"] == "Anything."


def test_a_sphinx_docstring_describes_tool_and_arguments() -> None:
    """The model sees the text before the fields, and the `:param:` fields."""

    @tool
    def look_up(city: str, country: str, days: int = 1) -> str:
        """Look up the weather.

        Slow: some seconds.

        :param city: Name of the city,
            as its people write it: exactly.
        :param str country: Two letters.
        :returns: The weather.
        :raises ValueError: There is none.
        """
        return f"{city} {country} {days}"

    properties: Any = look_up.spec.parameters["properties"]
    assert look_up.spec.description == "Look up the weather.\n\nSlow: some seconds."
    assert properties["city"]["description"] == "Name of the city, as its people write it: exactly."
    assert properties["country"]["description"] == "Two letters."
    assert "description" not in properties["days"]


def test_notes_and_examples_are_part_of_the_description(caplog: pytest.LogCaptureFixture) -> None:
    """The model sees notes and examples before the arguments; nothing is logged about missing types."""

    @tool
    def convert(amount: float) -> float:
        """Convert dollars to euros.

        Note:
            Rates are a day old.

        Example:
            convert(3)

        Args:
            amount: In dollars.

                Not negative.
        """
        return amount

    assert convert.spec.description == (
        "Convert dollars to euros.\n\nNote:\n    Rates are a day old.\n\nExample:\n    convert(3)"
    )
    properties: Any = convert.spec.parameters["properties"]
    assert properties["amount"]["description"] == "In dollars. Not negative."
    assert caplog.records == []


def test_types_local_to_a_function_are_found() -> None:
    """Types local to a function can be used in annotations."""

    class Local(BaseModel):
        n: int

    class Holder:
        @tool
        def method(self, value: Local) -> int:
            return value.n

    @tool
    def function(value: Local) -> int:
        return value.n

    assert function(Local(n=2)) == Holder().method(Local(n=2)) == 2
    assert "Local" in str(function.spec.parameters)


def test_spec_carries_what_the_decorator_was_told() -> None:
    """Limits and traits given to the decorator are part of the spec."""

    @tool(name="save-it", idempotent=True, timeout=5, retries=2, approval="always", task_queue="gpu")
    def save(text: str) -> str:
        return text

    assert save.spec == ToolSpec(
        name="save-it",
        parameters=_object({"text": {"type": "string"}}, "text"),
        activity="tool.save-it",
        idempotent=True,
        timeout=5,
        retries=2,
        approval="always",
        task_queue="gpu",
    )


# --- definitions that cannot work


async def _async_yields(a: str) -> AsyncIterator[str]:
    yield a


def _yields(a: str) -> Iterator[str]:
    yield a


class Opaque:
    """A class that JSON knows nothing of."""


@dataclass(frozen=True)
class DefinitionCase:
    """A mistake, and its error message."""

    name: str
    make: Callable[[], object]
    said: str


def untyped(a, b: int) -> None: ...  # type: ignore[no-untyped-def]
def stars(*paths: str) -> None: ...
def double_stars(**options: str) -> None: ...
def positional(a: str, /) -> None: ...
def opaque(thing: Opaque) -> None: ...
def callback(then: Callable[[], None]) -> None: ...
def hidden_type(amount: Decimal) -> None: ...
def field_default(a: int = Field(default=3)) -> None: ...


DEFINITIONS = [
    DefinitionCase("*args", lambda: tool(stars), r"tool stars: \*paths"),
    DefinitionCase("**kwargs", lambda: tool(double_stars), r"tool double_stars: \*\*options"),
    DefinitionCase("positional-only", lambda: tool(positional), "'a' is positional-only"),
    DefinitionCase("no type", lambda: tool(untyped), "tool untyped: parameter 'a' needs a type"),
    DefinitionCase("class of one's own", lambda: tool(opaque), "parameter 'thing' has a type that JSON cannot express"),
    DefinitionCase("callable", lambda: tool(callback), "parameter 'then' has a type that JSON cannot express"),
    DefinitionCase("type for checkers only", lambda: tool(hidden_type), "'Decimal' is not defined.*TYPE_CHECKING"),
    DefinitionCase("Field as default", lambda: tool(field_default), "'a': put Field"),
    DefinitionCase("space in name", lambda: tool(name="a b")(plain), "tool name 'a b'"),
    DefinitionCase("empty name", lambda: tool(name="")(plain), "tool name ''"),
    DefinitionCase("long name", lambda: tool(name="x" * 65)(plain), "tool name 'xxx"),
    DefinitionCase("line end in name", lambda: tool(name="a\n")(plain), "tool name"),
    DefinitionCase("lambda", lambda: tool(lambda: None), "tool name '<lambda>'"),
    DefinitionCase("blind retries", lambda: tool(retries=1)(plain), "retries are for tools that are read_only"),
    DefinitionCase("negative retries", lambda: tool(read_only=True, retries=-1)(plain), "retries=-1"),
    DefinitionCase("contradiction", lambda: tool(read_only=True, destructive=True)(plain), "exclude each other"),
    DefinitionCase("no time", lambda: tool(timeout=0)(plain), "timeout=0 is not accepted"),
    DefinitionCase("negative time", lambda: tool(timeout=-1)(plain), "timeout=-1 is not"),
    DefinitionCase("endless time", lambda: tool(timeout=float("inf"))(plain), "timeout=inf"),
    DefinitionCase("beyond all dates", lambda: tool(timeout=9e18)(plain), "must be at most 315,360,000"),
    DefinitionCase("too many retries", lambda: tool(read_only=True, retries=10**30)(plain), "must be at most 1,000"),
    DefinitionCase("no number", lambda: tool(timeout="soon")(plain), "timeout='soon' is not"),  # type: ignore[call-overload]
    DefinitionCase("unknown trait", lambda: tool(timeuot=3)(plain), "'plain': .* mean `timeout`"),  # type: ignore[call-overload]
    DefinitionCase("generator", lambda: tool(_yields), "it yields"),
    DefinitionCase("async generator", lambda: tool(_async_yields), "it yields"),
    DefinitionCase("staticmethod", lambda: tool(staticmethod(plain)), "directly above the def"),
    DefinitionCase("class", lambda: tool(Opaque), "only functions and methods"),
    DefinitionCase("partial", lambda: tool(functools.partial(plain, "x")), "only functions and methods"),
    DefinitionCase("twice", lambda: tool(tool(plain)), "'plain' is a tool already"),
]


@pytest.mark.parametrize("case", DEFINITIONS, ids=lambda case: case.name)
def test_bad_definition_is_refused_at_once(case: DefinitionCase) -> None:
    """An invalid definition is refused when it is made."""
    with pytest.raises(AgentDefinitionError, match=case.said):
        case.make()


# --- arguments from the model


@tool
def book(city: str, nights: Annotated[int, Field(ge=1)] = 1, kind: Literal["single", "double"] = "single") -> str:
    return f"{city} {nights} {kind}"


@tool
def place(point: Point, others: list[Point] | None = None) -> int:
    return point.x + sum(other.x for other in others or [])


@dataclass(frozen=True)
class ArgumentsCase:
    """What a model sends, and what it gets: the content, or words in the error."""

    name: str
    tool: Tool
    arguments: str
    content: str | None = None
    said: tuple[str, ...] = ()


ARGUMENTS = [
    ArgumentsCase("all", book, '{"city": "Köln", "nights": 2, "kind": "double"}', "Köln 2 double"),
    ArgumentsCase("defaults", book, '{"city": "Köln"}', "Köln 1 single"),
    ArgumentsCase("number as text", book, '{"city": "X", "nights": "2"}', "X 2 single"),
    ArgumentsCase("surrogate pair", book, r'{"city": "\ud83d\ude00"}', "😀 1 single"),
    ArgumentsCase("models", place, '{"point": {"x": 1}, "others": [{"x": 2}, {"x": 3}]}', "6"),
    ArgumentsCase("blank", tool(nothing), "", "done"),
    ArgumentsCase("spaces", tool(nothing), " \n", "done"),
    ArgumentsCase("empty object", tool(nothing), "{}", "done"),
    ArgumentsCase("awkward names", tool(awkward_names), '{"json":"", "_x":1, "model_config":"", "self_":""}', "done"),
    ArgumentsCase("truncated", book, '{"city": "Kö', said=("not well-formed JSON", "city: string (required)")),
    ArgumentsCase("no JSON", book, "city=Köln", said=("not well-formed JSON",)),
    ArgumentsCase("lone surrogate", book, '{"city": "\udc80"}', clean_text("\udc80 1 single")),
    ArgumentsCase("escaped lone surrogate", book, r'{"city": "\ud800"}', said=("not well-formed JSON",)),
    ArgumentsCase("too deep", book, "[" * 100_000, said=("not well-formed JSON",)),
    ArgumentsCase("a list", book, "[1]", said=("all arguments: Input should be an object (got [1])",)),
    ArgumentsCase("null", book, "null", said=("all arguments: Input should be an object (got null)",)),
    ArgumentsCase("missing", book, "{}", said=("- city: is required", "nights: integer (default 1)")),
    ArgumentsCase("wrong type", book, '{"city": 5}', said=("- city: Input should be a valid string (got 5)",)),
    ArgumentsCase("out of range", book, '{"city":"x","nights":0}', said=("- nights: ", "greater than or equal to 1")),
    ArgumentsCase("bad choice", book, '{"city":"x","kind":"suite"}', said=("- kind:", 'one of "single", "double"')),
    ArgumentsCase("unknown", book, '{"city":"x","town":"y"}', said=("- town: no such argument",)),
    ArgumentsCase("several", book, '{"town":"y","nights":"z"}', said=("- town:", "- nights:", "- city: is required")),
    ArgumentsCase("inner", place, '{"point": {"x": "q"}}', said=("- point.x: Input should be a valid integer",)),
    ArgumentsCase("kinds", place, "{}", said=("point: object (required)", "others: array of object or null")),
    ArgumentsCase("none taken", tool(nothing), '{"a": 1}', said=("- a: no such argument", "no properties: {}")),
]


@pytest.mark.parametrize("case", ARGUMENTS, ids=lambda case: case.name)
async def test_arguments_are_validated(case: ArgumentsCase) -> None:
    """Valid arguments are accepted; others are refused with a helpful message."""
    result = await case.tool.call(case.arguments, CONTEXT)
    if case.content is not None:
        assert (result.content, result.error) == (case.content, None)
    else:
        assert result.error is not None
        assert not result.content
        for words in case.said:
            assert words in result.error


async def test_wrong_arguments_run_nothing_and_are_reported_in_bounds() -> None:
    """With invalid arguments the tool does not run, and the message is bounded."""
    ran = []

    @tool
    def collect(numbers: list[int]) -> None:
        ran.append(numbers)

    result = await collect.call(json.dumps({"numbers": ["x" * 1000] * 1000}), CONTEXT)
    assert not ran
    assert result.error is not None
    assert "- and 990 more" in result.error
    assert len(result.error) < 3000


# --- running


async def test_sync_tools_run_in_a_thread_and_async_ones_in_the_loop() -> None:
    """Sync tools run in threads, async ones in the loop."""
    place_of = contextvars.ContextVar("place_of", default="lost")
    place_of.set("kept")

    @tool
    def blocking() -> list[Any]:
        return [threading.get_ident(), place_of.get()]

    @tool
    async def cooperative() -> list[Any]:
        await asyncio.sleep(0)
        return [threading.get_ident(), place_of.get()]

    thread, seen = json.loads((await blocking.call("{}", CONTEXT)).content)
    assert (thread != threading.get_ident(), seen) == (True, "kept")
    assert json.loads((await cooperative.call("{}", CONTEXT)).content) == [threading.get_ident(), "kept"]


async def test_a_blocking_tool_leaves_the_loop_free() -> None:
    """A blocking tool does not keep others from running."""
    met = threading.Barrier(2)

    @tool
    def meet() -> str:
        met.wait(timeout=10)
        return "met"

    results = await asyncio.gather(meet.call("{}", CONTEXT), meet.call("{}", CONTEXT))
    assert [result.content for result in results] == ["met", "met"]


async def test_sync_function_that_gives_an_awaitable_is_awaited() -> None:
    """An awaitable returned by a sync function is awaited."""

    async def inner(a: str) -> str:
        return f"inner {a}"

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    assert (await tool(outer).call('{"a": "x"}', CONTEXT)).content == "inner x"


async def test_context_is_injected() -> None:
    """The context says which call a tool serves and where its files are."""

    @tool
    def where(a: str, context: ToolContext, again: ToolContext | None = None) -> str:
        assert again is context
        return f"{a} {context.idempotency_key} {context.workspace}"

    assert (await where.call('{"a": "x"}', CONTEXT)).content == "x r1/3/c1 /w"
    refused = await where.call('{"a": "x", "context": {}}', CONTEXT)
    assert refused.error is not None
    assert "- context: no such argument" in refused.error


# --- results


@dataclass(frozen=True)
class ResultCase:
    """What a tool returns, and what the model reads."""

    name: str
    returned: Any
    content: str


RESULTS = [
    ResultCase("text", "as it is", "as it is"),
    ResultCase("nothing", None, "done"),
    ResultCase("empty text", "", ""),
    ResultCase("dict", {"a": [1, None, True], "ü": "ß"}, '{"a":[1,null,true],"ü":"ß"}'),
    ResultCase("list", ["a", 1.5], '["a",1.5]'),
    ResultCase("number", 7, "7"),
    ResultCase("truth", True, "true"),
    ResultCase("model", Point(x=1), '{"x":1,"title":"here"}'),
    ResultCase("models", [Point(x=1, title="a")], '[{"x":1,"title":"a"}]'),
    ResultCase("models inside", {"p": Point(x=1, title="a")}, '{"p":{"x":1,"title":"a"}}'),
    ResultCase("date", {"on": date(2020, 1, 2)}, '{"on":"2020-01-02"}'),
    ResultCase("lone surrogate", "a\ud800b", clean_text("a\ud800b")),
    ResultCase("lone surrogate inside", {"\udc80": 1}, clean_text('{"\udc80":1}')),
]


async def _result_of(returned: Any) -> ToolResult:
    @tool
    def give() -> Any:
        return returned

    return await give.call("{}", CONTEXT)


@pytest.mark.parametrize("case", RESULTS, ids=lambda case: case.name)
async def test_returned_values_become_text(case: ResultCase) -> None:
    """Returned values become text that represents them exactly."""
    result = await _result_of(case.returned)
    assert result.error is None
    assert result.content == case.content
    assert result.content.isprintable()


circle: list[Any] = []
circle.append(circle)


@pytest.mark.parametrize(
    "returned",
    [b"\xff", {"a": b"x"}, Opaque(), circle, {(1, 2): 3}],
    ids=["bytes", "bytes within", "an object", "a circle", "keys that are no text"],
)
async def test_what_cannot_be_shown_is_told_as_an_error(returned: Any) -> None:
    """A value that cannot be represented is an error in plain words."""
    result = await _result_of(returned)
    assert result.error is not None
    assert (
        f"The tool ran, but what it returned cannot be shown: a value of type {type(returned).__name__}" in result.error
    )


async def test_tool_result_is_passed_on_as_a_copy() -> None:
    """A `ToolResult` is passed on as a copy with all its fields."""
    given = ToolResult(content="a", error="b\udc80", files=["c\udc80"])
    result = await _result_of(given)
    assert result is not given
    mark = clean_text("\udc80")
    assert (result.content, result.error, result.files) == ("a", f"b{mark}", [f"c{mark}"])


@pytest.mark.parametrize("as_result", [False, True])
async def test_long_results_are_whole(as_result: bool) -> None:
    """Long results are passed on whole; the worker enforces the limit."""
    text = "x" * 3_000_000
    result = await _result_of(ToolResult(content=text) if as_result else text)
    assert result.content == text


async def test_long_errors_are_cut_and_say_so() -> None:
    """Long errors are truncated and say so."""
    text = "x" * (MAX_ERROR_CHARS + 17)
    result = await _result_of(ToolResult(error=text))
    assert result.error is not None
    kept, note = result.error.split("\n")
    assert len(kept) == MAX_ERROR_CHARS
    assert "17 more characters were left out" in note
    assert (await _result_of(ToolResult(error=text[:MAX_ERROR_CHARS]))).error == text[:MAX_ERROR_CHARS]


# --- errors of the tool's own code


@dataclass(frozen=True)
class RaisedCase:
    """What a tool raises, and what its caller gets."""

    raised: BaseException
    expected: type[Exception]
    said: str


RAISED = [
    RaisedCase(ToolError("the disk is full"), ToolError, "^the disk is full$"),
    RaisedCase(KeyError("k"), KeyError, "'k'"),
    RaisedCase(StopIteration(), RuntimeError, "StopIteration"),
    RaisedCase(SystemExit(3), RuntimeError, r"sys.exit\(3\)"),
    RaisedCase(GeneratorExit("no more pages"), RuntimeError, r"^the tool raised GeneratorExit: no more pages$"),
]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("case", RAISED, ids=lambda case: type(case.raised).__name__)
async def test_errors_of_the_tool_propagate(case: RaisedCase, is_async: bool) -> None:
    """Errors of the tool reach the caller, StopIteration and SystemExit too."""

    def fail() -> None:
        raise case.raised

    async def fail_async() -> None:
        raise case.raised

    with pytest.raises(case.expected, match=case.said):
        await asyncio.wait_for(tool(fail_async if is_async else fail).call("{}", CONTEXT), timeout=10)


def test_tool_error_belongs_to_the_tree() -> None:
    """`ToolError` is a `HoldfastError`."""
    assert issubclass(ToolError, HoldfastError)


# --- as a Python object


async def test_tool_stays_callable_like_its_function() -> None:
    """A decorated function can be called and inspected as before."""

    @tool(read_only=True)
    async def double(n: int) -> int:
        """Twice."""
        return 2 * n

    assert book("Rome", nights=3) == "Rome 3 single"
    assert await double(4) == 8
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    assert repr(double).startswith("<Tool 'double': ")
    assert f"{__file__}:" in double.place


async def test_methods_are_bound_to_their_instance() -> None:
    """Tool methods are bound to their instance."""

    class Counter:
        def __init__(self, start: int) -> None:
            self.start = start

        @tool
        def add(self, n: int = 1) -> int:
            """Add."""
            return self.start + n

        def twice(self) -> int:
            return self.add() + self.add(n=2)

    one, ten = Counter(1), Counter(10)
    assert one.twice() == 5
    assert (await ten.add.call('{"n": 5}', CONTEXT)).content == "15"
    assert Counter.add.needs_instance
    assert not ten.add.needs_instance
    assert Counter.add(one, 3) == 4
    assert ten.add.spec.parameters == _object({"n": {"type": "integer", "default": 1}})
    assert tool(ten.twice).spec.name == "twice"
