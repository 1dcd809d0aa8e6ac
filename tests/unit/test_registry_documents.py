"""Definitions in TOML, YAML and JSON: they are read back as written, and errors name their place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError, UsageError
from holdfast.storage.registry.documents import Format, read_definition, write_definition

FULL = AgentDefinition(
    name="guide",
    description="shows the way",
    system_prompt='Show the way.\n\n  "Never" guess.\nno\n',
    model="gpt-5-mini",
    model_settings={"temperature": 0.5, "stop": ["no", "10:30"], "nested": {"a b": {"c": [1, True, "2026-01-01"]}}},
    tools=["read_file", "Greeter.weather"],
    max_turns=7,
    timeout=30.0,
)
TOML = '''
name = "guide"
description = "shows the way"
system_prompt = """
Show the way.

  \\"Never\\" guess.
no
"""
model = "gpt-5-mini"
tools = ["read_file", "Greeter.weather"]
max_turns = 7
timeout = 30

[model_settings]
temperature = 0.5
stop = ["no", "10:30"]
nested = { "a b" = { c = [1, true, "2026-01-01"] } }
'''
YAML = """
name: guide
description: shows the way
system_prompt: |
  Show the way.

    "Never" guess.
  no
model: gpt-5-mini
tools: [read_file, Greeter.weather]
max_turns: 7
timeout: 30
model_settings:
  temperature: 0.5
  stop: ["no", '10:30']
  nested: {a b: {c: [1, true, "2026-01-01"]}}
"""
text_values = st.text(st.characters(codec="utf-8"))
leaves = st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | text_values


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values with these leaves."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text_values, inner, max_size=3),
        max_leaves=8,
    )


@dataclass(frozen=True)
class Wrong:
    """A file without a valid definition, and its error message."""

    language: Format
    text: str
    told: tuple[str, ...]


WRONG = [
    Wrong(Format.TOML, 'name = "a"\nprompt = "x"', ("line 2", "prompt is unknown", "system_prompt")),
    Wrong(Format.TOML, 'name = "a"\nname = "b"\nmodel = "c"', ("line 2", "overwrite")),
    Wrong(Format.TOML, "name =", ("line 1", "Invalid value")),
    Wrong(Format.TOML, 'name = "a"\n# x\n\ntools = [\n 1\n]', ("line 4", "tools.0=1", "must be text, in quotes")),
    Wrong(
        Format.TOML, 'name = "a"\nsystem_prompt = """\nmax_turns = "x"\n"""\nmax_turns = "x"', ("line 5", "max_turns")
    ),
    Wrong(Format.TOML, 'name = "a"\nmax_turns = true', ("line 2", "max_turns=true", "whole number")),
    Wrong(Format.TOML, 'name = "a"\nmax_turns = 0', ("line 2", "max_turns=0", "must be at least 1")),
    Wrong(Format.TOML, 'name = "a"\ntimeout = inf', ("line 2", "timeout=inf", "finite")),
    Wrong(Format.TOML, 'name = "a"\n[model_settings]\nx = 1\nday = 2026-01-01', ("line 4", "model_settings.day")),
    Wrong(Format.TOML, 'name = "a"\nversion = 3', ("line 2", "assigned by the registry")),
    Wrong(Format.TOML, 'tools = ["read_file"]', ("name is missing",)),
    Wrong(Format.TOML, 'name = "a"\ntools = ["x", "x"]', ("line 2", "named twice")),
    Wrong(Format.TOML, 'name = "a@3"', ("line 1", "NAME@3")),
    Wrong(Format.TOML, 'name = ""', ("line 1", "must not be empty")),
    Wrong(Format.YAML, "name: no", ("line 1", "YAML reads no as true or false", "quotes")),
    Wrong(Format.YAML, "name: a\nmodel_settings:\n  stop: [off]", ("line 3", "off", "quotes")),
    Wrong(Format.YAML, "name: a\nmodel_settings: {at: 12:30}", ("line 2", "12:30", "a number")),
    Wrong(Format.YAML, "name: 2026-01-01", ("line 1", "a date")),
    Wrong(Format.YAML, "name: a\nmax_turns: 010", ("line 2", "010", "quotes")),
    Wrong(Format.YAML, "name: a\nmax_turns: 1_000", ("line 2", "1_000")),
    Wrong(Format.YAML, "name: a\ntimeout: .inf", ("line 2", ".inf")),
    Wrong(Format.YAML, "name: a\ntimeout: 1e999", ("line 2", "timeout=inf", "finite")),
    Wrong(Format.YAML, "name: a\n\nname: b", ("line 3", "'name' appears twice")),
    Wrong(Format.YAML, "name: a\nmodel_settings: {x: 1, x: 2}", ("line 2", "'x' appears twice")),
    Wrong(Format.YAML, "name: &n a\nmodel: *n", ("line 1", "anchors")),
    Wrong(Format.YAML, "name: !!python/name:os.system x", ("line 1", "tags")),
    Wrong(Format.YAML, "name: a\nmodel_settings: {1: x}", ("line 2", "not text")),
    Wrong(Format.YAML, "name: a\n? [b]\n: c", ("line 2", "not text")),
    Wrong(Format.YAML, "name: a\ntools: read_file", ("line 2", "tools='read_file'", "a list")),
    Wrong(Format.YAML, "name: a\n  model: b", ("line 2",)),
    Wrong(Format.YAML, "name: a\n---\nname: b", ("line 2", "document")),
    Wrong(Format.YAML, "", ("this is nothing", "accepted: name")),
    Wrong(Format.YAML, "- a", ("this is a list",)),
    Wrong(Format.YAML, "name: a\nmodle: b", ("line 2", "modle is unknown")),
    Wrong(Format.YAML, "name: \x01", ("not allowed",)),
    Wrong(Format.JSON, '{"name": "a"\n"x"}', ("line 2",)),
    Wrong(Format.JSON, '{"name": "a", "name": "b"}', ("'name' appears twice",)),
    Wrong(Format.JSON, '{"name": "a", "timeout": NaN}', ("NaN is not JSON",)),
    Wrong(Format.JSON, '{"name": "a", "model_settings": {"x": 1e999}}', ("model_settings.x", "finite")),
    Wrong(Format.JSON, '{"name": 3}', ("name=3", "must be text, in quotes")),
    Wrong(Format.JSON, "[" * 100_000, ("nested too deeply",)),
    Wrong(Format.JSON, '{"name": "a", "system_prompt": "' + "x" * 600_000 + '"}', ("600,", "at most 524,288")),
    Wrong(Format.JSON, " " * 1_100_000, ("1,100,000 bytes",)),
]


@pytest.mark.parametrize(("language", "text"), [(Format.TOML, TOML), (Format.YAML, YAML)])
def test_each_language_says_everything(language: Format, text: str) -> None:
    """Every field can be written in every format."""
    assert read_definition(text.encode(), language, "a") == FULL


@pytest.mark.parametrize("language", Format)
def test_what_is_written_is_read_the_same(language: Format) -> None:
    """A written definition reads back as the same definition."""
    text = write_definition(FULL, language)
    assert read_definition(text.encode(), language, "a") == FULL
    assert write_definition(read_definition(text.encode(), language, "a"), language) == text


@pytest.mark.parametrize("language", Format)
def test_what_has_its_default_is_left_out(language: Format) -> None:
    """Fields with default values are omitted."""
    text = write_definition(AgentDefinition(name="a", version=4), language)
    assert "max_turns" not in text
    assert "version" not in text
    assert read_definition(text.encode(), language, "a") == AgentDefinition(name="a")


@given(st.sampled_from([Format.YAML, Format.JSON]), text_values, text_values, nested(st.none() | leaves))
@settings(max_examples=200, deadline=None)
def test_any_text_and_any_setting_survive(language: Format, prompt: str, key: str, setting: Any) -> None:
    """Any prompt and any settings are preserved."""
    definition = AgentDefinition(name="a", system_prompt=prompt, model_settings={key: setting})
    text = write_definition(definition, language)
    assert read_definition(text.encode(), language, "a").digest == definition.digest


@given(text_values, text_values, nested(leaves))
@settings(max_examples=100, deadline=None)
def test_all_but_null_survives_toml(prompt: str, key: str, setting: Any) -> None:
    """TOML preserves any prompt and any settings without nulls."""
    definition = AgentDefinition(name="a", system_prompt=prompt, model_settings={key: setting})
    text = write_definition(definition, Format.TOML)
    assert read_definition(text.encode(), Format.TOML, "a").digest == definition.digest


def test_a_prompt_of_several_lines_is_readable_in_toml() -> None:
    """A prompt of several lines is written as lines, unless TOML needs escapes for its line ends."""
    text = write_definition(AgentDefinition(name="a", system_prompt="one\n\ntwo\n"), Format.TOML)
    assert 'system_prompt = """\none\n\ntwo\n"""\n' in text
    text = write_definition(AgentDefinition(name="a", system_prompt="one\r\ntwo"), Format.TOML)
    assert read_definition(text.encode(), Format.TOML, "a").system_prompt == "one\r\ntwo"


def test_toml_has_no_null() -> None:
    """A definition with a null is refused for TOML, and the message names the languages that have one."""
    with pytest.raises(UsageError, match="TOML has no null"):
        write_definition(AgentDefinition(name="a", model_settings={"x": [None]}), Format.TOML)


@pytest.mark.parametrize("language", list(Format))
def test_half_a_surrogate_pair_is_replaced(language: Format) -> None:
    """A lone surrogate, which no file can hold, is replaced when the agent is defined."""
    definition = AgentDefinition(name="a", model_settings={"x": ["\ud800"], "\ud800": 1})
    written = write_definition(definition, language).encode()
    assert read_definition(written, language, "a") == definition


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.language}-{wrong.text[:40]!r}")
def test_what_is_wrong_is_reported_where_it_is(wrong: Wrong) -> None:
    """Mistakes are reported with their place, and nothing else is read."""
    with pytest.raises(AgentDefinitionError) as refusal:
        read_definition(wrong.text.encode(), wrong.language, f"a.{wrong.language}")
    message = str(refusal.value)
    assert message.startswith(f"a.{wrong.language}")
    assert not [word for word in wrong.told if word not in message], message
    assert len(message) < 400


DEEP = [
    (Format.YAML, "[" * 400_000),
    (Format.YAML, "- " * 200_000),
    (Format.YAML, "{a: " * 100_000),
    (Format.YAML, "a: 1\n" * 150_000),
    (Format.TOML, "x = " + "[" * 400_000),
    (Format.TOML, "x = " + "{a = " * 100_000),
    (Format.TOML, "a." * 100_000 + "a = 1"),
    (Format.TOML, "[" + '"a".' * 100_000 + "a]"),
    (Format.TOML, "# nothing\n" * 300 + 'prompt = "' + "x" * 940_000 + '"\nnmae = 1'),
    (Format.JSON, "[" * 900_000),
]


@pytest.mark.parametrize(("language", "text"), DEEP, ids=lambda value: repr(value)[:30])
def test_a_large_or_deep_file_is_refused_quickly(language: Format, text: str) -> None:
    """No file that is small enough to be read keeps the reader busy for more than moments."""
    began = time.process_time()
    with pytest.raises(AgentDefinitionError):
        read_definition(text.encode(), language, "a")
    assert time.process_time() - began < 10


def test_signs_within_texts_and_comments_do_not_nest() -> None:
    """A prompt may be full of brackets and dots."""
    prompt = "[" * 50 + "a" + "." * 100 + "{" * 50
    for quoted in (f'"{prompt}"', f"'{prompt}'", f'''"""\n{prompt}\n"""''', f"'''{prompt}'''"):
        text = f'name = "a" # {prompt}\nsystem_prompt = {quoted}\nmodel_settings = {{ x = [1.5, 2.5] }}'
        assert prompt in read_definition(text.encode(), Format.TOML, "a").system_prompt
    assert prompt in read_definition(f'name: a\nsystem_prompt: "{prompt}"'.encode(), Format.YAML, "a").system_prompt


def test_text_that_is_not_utf8_is_refused() -> None:
    """A file that is not UTF-8 is refused."""
    with pytest.raises(AgentDefinitionError, match=r"a\.toml, line 2: the file is not UTF-8"):
        read_definition(b'name = "a"\nmodel = "\xff"', Format.TOML, "a.toml")


def test_a_byte_order_mark_is_no_content() -> None:
    """A byte order mark is ignored."""
    assert read_definition(b'\xef\xbb\xbfname = "a"', Format.TOML, "a").name == "a"


@pytest.mark.parametrize(
    ("file", "language"), [("a.toml", "toml"), ("b.yml", "yaml"), ("c.YAML", "yaml"), ("d.json", "json")]
)
def test_a_files_ending_says_its_language(file: str, language: str) -> None:
    """The format follows from the file's extension."""
    assert Format.of(file) == language


@pytest.mark.parametrize("file", ["agent", "agent.txt", ".toml.bak", "toml"])
def test_other_files_are_refused(file: str) -> None:
    """Files with other extensions are refused."""
    with pytest.raises(UsageError, match=r"\.toml, \.yaml, \.yml or \.json"):
        Format.of(file)
