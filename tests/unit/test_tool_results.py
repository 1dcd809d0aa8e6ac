"""Results of tools, as the text that a model reads and as files."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter

from holdfast import File, ToolContext, tool
from holdfast.activities.result_cut import cut
from holdfast.agents.results import as_result
from holdfast.types import ToolResult
from tests.support.tool_agents import NOON, Colour, Item, Point

RETURNED: list[tuple[Any, Any]] = [
    ("text", str),
    ({"a": [1, None]}, dict[str, list[int | None]]),
    ([1, 2], list[int]),
    (Item(name="rope", at=NOON), Item),
    ([Item(name="rope"), Item(name="tar")], list[Item]),
    (Point(3), Point),
    ({Colour.RED: Point(1)}, dict[Colour, Point]),
    (NOON, datetime),
    ({date(2026, 1, 2): NOON}, dict[date, datetime]),
    (Colour.RED, Colour),
    (True, bool),
]


@pytest.mark.parametrize(("returned", "kind"), RETURNED, ids=lambda value: str(value)[:40])
def test_return_types_str_dict_list_basemodel_list_of_basemodel(returned: Any, kind: Any) -> None:
    """Whatever a tool returns is text or JSON, from which a caller gets the same value back."""
    result = as_result(returned)
    assert result.error is None
    adapter = TypeAdapter(kind)
    text = result.content
    again = adapter.validate_python(text) if kind in (str, datetime, Colour) else adapter.validate_json(text)
    assert again == returned


def test_files_of_the_workspace_are_reported(tmp_path: Path) -> None:
    """A file that a tool returns is one of the run's files; one outside of the workspace is an error for the model."""
    (tmp_path / "out").mkdir()
    for name in ("out/a.pdf", "b.pdf"):
        (tmp_path / name).write_text("x")
    one = as_result(File("out/a.pdf"), tmp_path)
    assert (one.content, one.files) == ("out/a.pdf", ["out/a.pdf"])
    several = as_result([tmp_path / "out/a.pdf", File("b.pdf")], tmp_path)
    assert (json.loads(several.content), several.files) == (["out/a.pdf", "b.pdf"], ["out/a.pdf", "b.pdf"])
    (tmp_path / "link").symlink_to("/etc/hostname")
    for outside in ("../x", "/etc/hostname", "link", "missing", "out"):
        assert "is not a file of the workspace" in str(as_result(File(outside), tmp_path).error)
    assert as_result(Path("/etc/hostname"), tmp_path).files == []


def test_a_note_in_the_annotation_describes_an_argument() -> None:
    """`Annotated[str, "text"]` describes an argument, before the docstring does."""

    @tool
    def find(what: Annotated[str, "what to look for"], place: File) -> None:
        """Finds.

        Args:
            what: not shown.
            place: where to look.
        """

    properties: Any = find.spec.parameters["properties"]
    assert [properties[name]["description"] for name in ("what", "place")] == ["what to look for", "where to look."]


async def test_a_long_result_is_cut_with_a_remark(tmp_path: Path) -> None:
    """The remark says how many bytes were left out and where the rest is; no character is cut in two."""

    def context(workspace: Path) -> ToolContext:
        return ToolContext(
            run_id="r", call_id="call/1", agent="a", turn=3, attempt=1, workspace=workspace, tool="list_all"
        )

    text = "ä" * 1_000
    short = await cut(ToolResult(content=text), 1_001, context(tmp_path))
    assert short.content == (
        f"{text[:500]}\n[cut here: 1,000 of 2,000 bytes were left out. The whole result is in the file "
        "tool-results/list_all-3-call_1.txt of the workspace; read it in parts.]"
    )
    assert (tmp_path / short.files[0]).read_text() == text
    assert short.left_out == 1_000
    (tmp_path / "file").write_text("in the way")
    lost = await cut(ToolResult(content=text), 1_001, context(tmp_path / "file"))
    assert lost.content.endswith("left out. Call the tool with arguments that select less.]")
    whole = ToolResult(content=text)
    assert await cut(whole, 2_000, context(tmp_path)) is whole
