"""The file tools: what a model is shown, and that no path leads out of the workspace."""

from __future__ import annotations

import itertools
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from holdfast.agents.tool import Tool, ToolContext, ToolError
from holdfast.tools import files, list_files, listing, read_file, search_files, write_file
from holdfast.tools.workspace import Workspace
from holdfast.types import clean_text

NOBODY = 65534  # the user id that may do nothing


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder next to the workspace, with a secret in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text("the secret")
    return folder


@pytest.fixture
def workspace(tmp_path: Path, outside: Path) -> Path:
    """An empty workspace; `outside` is its neighbour."""
    assert outside.parent == tmp_path
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def context(workspace: Path) -> ToolContext:
    return ToolContext(run_id="r", call_id="c", agent="a", turn=1, attempt=1, workspace=workspace)


def fill(workspace: Path, **texts: str | bytes) -> None:
    """Writes files; `__` in a keyword stands for a slash and `_` for a dot."""
    for name, text in texts.items():
        path = workspace / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def listed(workspace: Path, path: str = ".", pattern: str = "**/*") -> list[str]:
    return list_files(path, pattern, context=context(workspace)).splitlines()


def found(workspace: Path, query: str, path: str = ".", max_hits: int = 40) -> list[str]:
    return search_files(query, path, max_hits, context=context(workspace)).splitlines()


# --- all of them


@dataclass(frozen=True)
class TraitCase:
    """What a tool says of itself."""

    tool: Tool
    read_only: bool
    idempotent: bool
    arguments: set[str]


TRAITS = [
    TraitCase(list_files, True, False, {"path", "pattern"}),
    TraitCase(search_files, True, False, {"query", "path", "max_hits"}),
    TraitCase(read_file, True, False, {"path", "start_line", "max_lines"}),
    TraitCase(write_file, False, True, {"path", "content"}),
]


@pytest.mark.parametrize("case", TRAITS, ids=lambda case: case.tool.spec.name)
def test_tools_say_of_themselves_what_they_do(case: TraitCase) -> None:
    """Each tool's definition says how to use it and whether it can be repeated."""
    spec = case.tool.spec
    assert (spec.read_only, spec.idempotent, spec.destructive) == (case.read_only, case.idempotent, False)
    properties = spec.parameters["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == case.arguments
    assert all("description" in part for part in properties.values() if isinstance(part, dict))
    assert spec.description


Use = Callable[[Path, str], object]

USES: dict[str, Use] = {
    "list": listed,
    "search": lambda workspace, path: found(workspace, "secret", path),
    "read": lambda workspace, path: read_file(path, context=context(workspace)),
    "write": lambda workspace, path: write_file(path, "overwritten", context=context(workspace)),
}

each_use = pytest.mark.parametrize("use", USES.values(), ids=USES.keys())


@each_use
@pytest.mark.parametrize(
    "path",
    ["", "..", "../outside/secret.txt", "a/../../outside/secret.txt", "a/..", "/", "/etc/passwd", "//etc", "a\0b"],
)
def test_paths_that_are_not_below_the_workspace_are_refused(
    use: Use, path: str, workspace: Path, outside: Path
) -> None:
    """Paths outside the workspace are refused."""
    (workspace / "a").mkdir()
    with pytest.raises(ToolError, match="is not accepted: use one below the workspace"):
        use(workspace, path)
    assert (outside / "secret.txt").read_text() == "the secret"


@each_use
@pytest.mark.parametrize("path", ["link", "folder/secret.txt", "folder/new.txt", "inner/folder/secret.txt", "missing"])
def test_links_that_lead_out_are_refused(use: Use, path: str, workspace: Path, outside: Path) -> None:
    """Links that lead out of the workspace are refused."""
    (workspace / "inner").mkdir()
    (workspace / "link").symlink_to(outside / "secret.txt")
    (workspace / "folder").symlink_to(outside)
    (workspace / "inner" / "folder").symlink_to("../../outside")
    (workspace / "missing").symlink_to(outside / "made-through-a-link.txt")
    with pytest.raises(ToolError, match="is not accepted: it leads outside the workspace"):
        use(workspace, path)
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "the secret"


@each_use
def test_links_in_a_circle_are_refused(use: Use, workspace: Path) -> None:
    """Circular links are refused in words."""
    (workspace / "a").symlink_to("b")
    (workspace / "b").symlink_to("a")
    with pytest.raises(ToolError, match="'a' "):
        use(workspace, "a")


@each_use
def test_a_folder_swapped_for_a_link_meanwhile_is_no_way_out(
    use: Use, workspace: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replacing a folder by a link between check and use does not lead out of the workspace."""
    fill(workspace, door__secret_txt="harmless")
    check = Workspace._real  # the moment of the attack is right after it

    def check_then_swap(self: Workspace, path: PurePosixPath) -> PurePosixPath:
        real = check(self, path)
        if not (workspace / "door").is_symlink():
            (workspace / "door").rename(workspace / "aside")
            (workspace / "door").symlink_to(outside)
        return real

    monkeypatch.setattr(Workspace, "_real", check_then_swap)
    with pytest.raises(ToolError, match=r"'door/secret\.txt' cannot be used"):
        use(workspace, "door/secret.txt")
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "the secret"


def test_links_that_stay_inside_work(workspace: Path) -> None:
    """Links within the workspace work."""
    fill(workspace, docs__real_md="one secret\n")
    (workspace / "link.md").symlink_to("docs/real.md")
    (workspace / "chunk_store").symlink_to("docs")
    (workspace / "absolute").symlink_to(workspace / "docs")
    assert listed(workspace) == ["docs/real.md\t11", "link.md\t11"]
    assert listed(workspace, "chunk_store") == ["chunk_store/real.md\t11"]
    assert found(workspace, "SECRET", "link.md") == ["link.md:1: one secret"]
    assert read_file("absolute/real.md", context=context(workspace)).startswith("absolute/real.md lines 1-1 of 1")
    write_file("link.md", "new", context=context(workspace))
    assert (workspace / "link.md").is_symlink()
    assert (workspace / "docs" / "real.md").read_text() == "new"


def test_a_workspace_that_is_itself_a_link_works(workspace: Path, tmp_path: Path) -> None:
    """A workspace that is itself a link works."""
    fill(workspace, a_md="x")
    (tmp_path / "link").symlink_to(workspace)
    assert listed(tmp_path / "link") == ["a.md\t1"]


@pytest.mark.parametrize("name", ["list", "search", "read"])
def test_missing_workspace_is_reported_in_plain_words(name: str, tmp_path: Path) -> None:
    """A missing workspace is reported in plain words."""
    with pytest.raises(ToolError, match=r"^the workspace is empty: its folder does not exist yet$"):
        USES[name](tmp_path / "none", "." if name != "read" else "a.txt")


@pytest.mark.parametrize("name", ["list", "search", "read"])
def test_missing_file_is_reported_in_plain_words(name: str, workspace: Path) -> None:
    """A missing file is reported in plain words."""
    with pytest.raises(
        ToolError, match=r"^there is no 'none/a\.txt' in the workspace; list_files shows the existing files$"
    ):
        USES[name](workspace, "none/a.txt")


async def test_errors_of_arguments_reach_the_model(workspace: Path) -> None:
    """Limits of arguments are enforced and explained to the model."""
    calls: list[tuple[Tool, str]] = [
        (read_file, '{"path": "a", "max_lines": 2001}'),
        (read_file, '{"path": "a", "start_line": 0}'),
        (search_files, '{"query": "a", "max_hits": 0}'),
    ]
    for tool, arguments in calls:
        result = await tool.call(arguments, context(workspace))
        assert result.error is not None
        assert "Input should be" in result.error


# --- list_files


def test_list_is_sorted_and_has_sizes(workspace: Path) -> None:
    """A listing is sorted and has sizes, so that a retry shows the same."""
    fill(workspace, b_txt="12", a__z_txt="", a__b__c_md="ü", a_txt="1", Z_txt="")
    assert listed(workspace) == ["Z.txt\t0", "a.txt\t1", "a/b/c.md\t2", "a/z.txt\t0", "b.txt\t2"]
    assert listed(workspace, "a") == ["a/b/c.md\t2", "a/z.txt\t0"]
    assert listed(workspace, "./a/b/") == ["a/b/c.md\t2"]
    assert listed(workspace, "b.txt") == ["b.txt\t2"]


@dataclass(frozen=True)
class PatternCase:
    """A pattern and the files that it matches."""

    pattern: str
    expected: list[str]
    path: str = "."


PATTERNS = [
    PatternCase("**/*", ["a.md", "d/b.md", "d/e/c.md", "d/e/c.txt"]),
    PatternCase("**", ["a.md", "d/b.md", "d/e/c.md", "d/e/c.txt"]),
    PatternCase("*", ["a.md"]),
    PatternCase("*.md", ["a.md"]),
    PatternCase("**/*.md", ["a.md", "d/b.md", "d/e/c.md"]),
    PatternCase("d/*", ["d/b.md"]),
    PatternCase("d/**", ["d/b.md", "d/e/c.md", "d/e/c.txt"]),
    PatternCase("d/**/c.*", ["d/e/c.md", "d/e/c.txt"]),
    PatternCase("**/e/**/c.md", ["d/e/c.md"]),
    PatternCase("**/**/**/**/c.md", ["d/e/c.md"]),
    PatternCase("?/[bx].md", ["d/b.md"]),
    PatternCase("*.MD", []),
    PatternCase("e/*.txt", ["d/e/c.txt"], path="d"),
    PatternCase("d/b.md", [], path="d"),
]


@pytest.mark.parametrize("case", PATTERNS, ids=lambda case: case.pattern)
def test_patterns(case: PatternCase, workspace: Path) -> None:
    """Patterns match what a glob is expected to match."""
    fill(workspace, a_md="", d__b_md="", d__e__c_md="", d__e__c_txt="")
    expected = [f"{path}\t0" for path in case.expected] or ["(no files)"]
    assert listed(workspace, case.path, case.pattern) == expected


@pytest.mark.parametrize("pattern", ["", ".", "../*", "a/../*", "/etc/*", "**/.."])
def test_patterns_that_lead_out_are_refused(pattern: str, workspace: Path) -> None:
    """Patterns that lead out of the workspace are refused."""
    with pytest.raises(ToolError, match=r"the pattern .* is not accepted"):
        listed(workspace, pattern=pattern)


def test_list_leaves_out_what_only_machines_read(workspace: Path, outside: Path) -> None:
    """A listing omits caches, version control and links."""
    fill(workspace, a_md="", d__b_md="")
    for folder in (".git", ".venv", "node_modules", "__pycache__", "d/.cache"):
        (workspace / folder).mkdir()
        (workspace / folder / "x").touch()
    (workspace / "circle").symlink_to(".")
    (workspace / "out").symlink_to(outside / "secret.txt")
    (workspace / "broken").symlink_to("nowhere")
    os.mkfifo(workspace / "pipe")
    (workspace / ".hidden-file").touch()
    assert listed(workspace) == [".hidden-file\t0", "a.md\t0", "d/b.md\t0"]
    assert listed(workspace, ".venv") == [".venv/x\t0"]


def test_empty_folder(workspace: Path) -> None:
    """An empty folder is described as empty."""
    assert listed(workspace) == ["(no files)"]
    assert found(workspace, "x") == ["(no hits)"]


def test_long_list_is_cut_and_says_so(workspace: Path) -> None:
    """A truncated listing says so."""
    for number in range(503):
        (workspace / f"{number:03}.md").touch()
    lines = listed(workspace)
    assert lines[0] == "000.md\t0"
    assert lines[499] == "499.md\t0"
    assert lines[500:] == ["(3 more files were left out; narrow the path or the pattern)"]
    assert len(listed(workspace, pattern="[0-4]*")) == 500


def test_huge_folder_is_bounded_work(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing a huge folder is bounded work."""
    assert listing.MAX_ENTRIES == 20_000
    monkeypatch.setattr(listing, "MAX_ENTRIES", 20)
    for folder, number in itertools.product("ab", range(12)):
        fill(workspace, **{f"{folder}__{number:02}": ""})
    lines = listed(workspace)
    assert lines[-1] == "(stopped after 20 directory entries; narrow the path)"
    assert len(lines) == 19
    assert len(listed(workspace, "a")) == 12
    assert found(workspace, "x")[-1] == lines[-1]


def test_names_that_are_no_plain_text_stay_on_their_line(workspace: Path) -> None:
    """File names with any bytes stay on one line."""
    (workspace / "two\nlines\t.md").write_text("hit")
    (workspace / os.fsdecode(b"\xff.md")).write_text("hit")
    (workspace / "größe 😀.md").write_text("hit")
    mark = "\N{REPLACEMENT CHARACTER}"
    assert listed(workspace) == ["größe 😀.md\t3", f"two{mark}lines{mark}.md\t3", clean_text("\udcff.md\t3")]
    assert len(found(workspace, "hit")) == 3


# --- search_files


def test_search_finds_literally_without_regard_to_case(workspace: Path) -> None:
    """A search is literal and ignores case."""
    fill(workspace, b_md="x\nPrice (net): 5\n", a__a_md="PRICE (NET)\r\nprice net\n", c_md="Größe\nGRÖSSE")
    assert found(workspace, "price (net)") == ["a/a.md:1: PRICE (NET)", "b.md:2: Price (net): 5"]
    assert found(workspace, "größe") == ["c.md:1: Größe", "c.md:2: GRÖSSE"]
    assert found(workspace, ".*") == ["(no hits)"]
    assert found(workspace, "price", "a") == ["a/a.md:1: PRICE (NET)", "a/a.md:2: price net"]
    assert found(workspace, "price", "b.md") == ["b.md:2: Price (net): 5"]


def test_search_and_read_number_lines_alike(workspace: Path) -> None:
    """Searching and reading number lines alike."""
    fill(workspace, a_txt="one\u2028still one\x0c\rstill one\ntwo\r\n\nfour hit")
    assert found(workspace, "hit") == ["a.txt:4: four hit"]
    assert read_file("a.txt", 4, context=context(workspace)) == "a.txt lines 4-4 of 4\n4\tfour hit"


def test_more_hits_are_cut_and_say_so(workspace: Path) -> None:
    """A truncated list of hits says so."""
    fill(workspace, a_txt="hit\n" * 3, b_txt="hit\n")
    assert found(workspace, "hit", max_hits=4) == [*(f"a.txt:{n}: hit" for n in (1, 2, 3)), "b.txt:1: hit"]
    assert found(workspace, "hit", max_hits=3)[3:] == ["(more hits were left out; narrow the query or the path)"]


def test_long_lines_are_cut_around_the_hit(workspace: Path) -> None:
    """Long lines are truncated around the hit."""
    fill(workspace, a_txt="hit" + "x" * 500 + "\n" + "x" * 5000 + "far hit" + "y" * 500)
    first, second = found(workspace, "hit")
    assert first == "a.txt:1: hit" + "x" * 297
    assert len(second) == len("a.txt:2: ") + 300
    assert "far hit" in second


def test_what_is_not_searched_is_named(workspace: Path) -> None:
    """Files that were not searched are named."""
    fill(workspace, big_txt=b"hit\n" * 600_000, binary_bin=b"\0\1hit", limit_txt=b"hit" + b"x" * (2 * 1024 * 1024 - 3))
    lines = found(workspace, "hit")
    assert lines[0].startswith("limit.txt:1: hit")
    assert lines[1:] == ["(big.txt was not searched: it is larger than 2 MB)"]
    assert found(workspace, "nope") == ["(no hits)", "(big.txt was not searched: it is larger than 2 MB)"]


def test_search_is_bounded_work(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search is bounded work."""
    monkeypatch.setattr(files, "MAX_SEARCHED_BYTES", 10)
    fill(workspace, a_txt="hit 56789", b_txt="hit")
    assert found(workspace, "hit") == ["a.txt:1: hit 56789", "(stopped after 200 MB of text; narrow the path)"]


def test_many_notes_are_cut(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of skipped files is bounded."""
    monkeypatch.setattr(files, "MAX_SEARCHED_FILE_BYTES", 1)
    fill(workspace, **{f"{number:02}": "long" for number in range(13)})
    lines = found(workspace, "x")
    assert len(lines) == 12
    assert lines[-1] == "(3 more remarks were left out)"


@pytest.mark.parametrize("query", ["", "  ", "two\nlines"])
def test_queries_that_can_find_nothing_are_refused(query: str, workspace: Path) -> None:
    """Empty queries and those with line ends are refused."""
    with pytest.raises(ToolError, match="the query must be one line"):
        found(workspace, query)


def test_text_that_is_not_utf8_is_searched_and_read(workspace: Path) -> None:
    """Files with invalid UTF-8 are searched and read."""
    fill(workspace, a_txt=b"caf\xe9 hit\n")
    assert found(workspace, "hit") == ["a.txt:1: caf\N{REPLACEMENT CHARACTER} hit"]
    assert read_file("a.txt", context=context(workspace)).endswith("1\tcaf\N{REPLACEMENT CHARACTER} hit")


@pytest.fixture
def unreadable() -> Iterator[Path]:
    """A workspace with a file and a folder that this process may not read, even if it was started as root."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # others than root must get there
        folder = Path(name)
        folder.chmod(0o755)
        fill(folder, ok_txt="hit", shut_txt="hit", shut__inner_txt="hit")
        (folder / "shut.txt").chmod(0)
        (folder / "shut").chmod(0)
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            (folder / "shut").chmod(0o700)


def test_unreadable_files_are_skipped_with_a_note(unreadable: Path) -> None:
    """Unreadable files are skipped and named."""
    folder_note = "(skipped: 'shut' cannot be used: Permission denied)"
    assert listed(unreadable) == ["ok.txt\t3", "shut.txt\t3", folder_note]
    assert found(unreadable, "hit") == [
        "ok.txt:1: hit",
        folder_note,
        "(shut.txt was not searched: 'shut.txt' cannot be used: Permission denied)",
    ]
    with pytest.raises(ToolError, match=r"^'shut\.txt' cannot be used: Permission denied$"):
        read_file("shut.txt", context=context(unreadable))
    with pytest.raises(ToolError, match=r"^'shut' cannot be used: Permission denied$"):
        listed(unreadable, "shut")


# --- read_file


@dataclass(frozen=True)
class ReadCase:
    """A file and what is shown of it."""

    name: str
    data: bytes
    expected: str
    start_line: int = 1
    max_lines: int = 200


READS = [
    ReadCase("whole", b"a\nb\n", "f lines 1-2 of 2\n1\ta\n2\tb"),
    ReadCase("no line end at the end", b"a\nb", "f lines 1-2 of 2\n1\ta\n2\tb"),
    ReadCase("Windows", b"a\r\nb\r\n", "f lines 1-2 of 2\n1\ta\n2\tb"),
    ReadCase("blank lines", b"\n\n", "f lines 1-2 of 2\n1\t\n2\t"),
    ReadCase("part", b"a\nb\nc\nd\n", "f lines 2-3 of 4\n2\tb\n3\tc", start_line=2, max_lines=2),
    ReadCase("past the end", b"a\nb\nc\n", "f lines 3-3 of 3\n3\tc", start_line=3, max_lines=9),
    ReadCase("empty", b"", "f lines 0-0 of 0"),
    ReadCase("unicode", "ü😀\n".encode(), "f lines 1-1 of 1\n1\tü😀"),
    ReadCase("late NUL", b"x" * 9000 + b"\n\0", "f lines 2-2 of 2\n2\t\N{REPLACEMENT CHARACTER}", start_line=2),
]


@pytest.mark.parametrize("case", READS, ids=lambda case: case.name)
def test_read_shows_numbered_lines(case: ReadCase, workspace: Path) -> None:
    """A file is shown with the numbers of its lines."""
    fill(workspace, f=case.data)
    assert read_file("./f", case.start_line, case.max_lines, context=context(workspace)) == case.expected


def test_read_beyond_the_end_is_reported(workspace: Path) -> None:
    """Reading past the end says how long the file is."""
    fill(workspace, f="a\nb", empty="")
    with pytest.raises(ToolError, match="'f' has 2 lines; start_line=3 is beyond its end"):
        read_file("f", 3, context=context(workspace))
    with pytest.raises(ToolError, match="'empty' has 0 lines"):
        read_file("empty", 2, context=context(workspace))


def test_huge_file_gives_a_bounded_page_with_a_true_header(workspace: Path) -> None:
    """A page of a huge file is bounded, and its header names the lines that it holds."""
    fill(workspace, lines=(b"x" * 999 + b"\n") * 5000, wide=b"y" * 3_000_000 + b"\nend\n")
    header, *lines = read_file("lines", 11, 2000, context=context(workspace)).splitlines()
    assert header == f"lines lines 11-{10 + len(lines)} of 5000"
    assert lines[-1].startswith(f"{10 + len(lines)}\tx")
    assert 100 <= len(lines) <= 110
    header, wide, end = read_file("wide", context=context(workspace)).splitlines()
    assert (header, end) == ("wide lines 1-2 of 2", "2\tend")
    assert wide.endswith("y … (line cut)")
    assert len(wide) < 9000


def test_a_file_without_end_is_read_in_part(workspace: Path) -> None:
    """Of a file of hundreds of gigabytes, a bounded part is read, and the header does not claim a number of lines."""
    with (workspace / "sparse").open("wb") as file:
        file.write(b"text\n" * 4096)
        file.truncate(300 * 1024**3)
    began = os.times()
    header, first = read_file("sparse", 1, 1, context=context(workspace)).splitlines()
    assert (header, first) == ("sparse lines 1-1 of more than 4097", "1\ttext")
    with pytest.raises(ToolError, match=r"more than 4097 lines; start_line=5000 is beyond the first 67,108,864 bytes"):
        read_file("sparse", 5000, context=context(workspace))
    assert os.times().user - began.user < 20


def test_a_search_that_takes_too_long_ends(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search on a slow disk returns what it has found so far."""
    fill(workspace, a_txt="here", b_txt="here")
    monkeypatch.setattr(files, "MAX_SEARCH_TIME", -1.0)
    assert found(workspace, "here") == ["(no hits)", "(stopped after -1 s; narrow the path)"]


@pytest.mark.parametrize("name", ["folder", "pipe", "."])
def test_what_is_not_a_file_is_not_read(name: str, workspace: Path) -> None:
    """Pipes and folders are refused."""
    (workspace / "folder").mkdir()
    os.mkfifo(workspace / "pipe")
    with pytest.raises(ToolError, match="is not a file; list_files shows"):
        read_file(name, context=context(workspace))


def test_binary_is_not_read(workspace: Path) -> None:
    """Binary files are refused."""
    fill(workspace, a_png=b"\x89PNG\0\0")
    with pytest.raises(ToolError, match=r"'a\.png' is not a text file"):
        read_file("a.png", context=context(workspace))


# --- write_file


async def test_write_makes_the_file_its_folders_and_the_workspace(tmp_path: Path) -> None:
    """Writing creates the file with its folders and reports it."""
    workspace = tmp_path / "runs" / "r1"
    result = await write_file.call('{"path": "./reports/2030/größe.md", "content": "ü\\r\\n"}', context(workspace))
    assert (result.content, result.files) == ("wrote reports/2030/größe.md (4 bytes)", ["reports/2030/größe.md"])
    assert (workspace / "reports/2030/größe.md").read_bytes() == b"\xc3\xbc\r\n"
    assert (await read_file.call('{"path": "reports/2030/größe.md"}', context(workspace))).content.endswith("1\tü")


def test_write_replaces_whole_files_and_keeps_their_permissions(workspace: Path) -> None:
    """Writing replaces the whole file and keeps its permissions."""
    fill(workspace, a_sh="a longer text")
    (workspace / "a.sh").chmod(0o750)
    for _ in range(2):
        write_file("a.sh", "short", context=context(workspace))
        assert (workspace / "a.sh").read_text() == "short"
    assert stat.S_IMODE((workspace / "a.sh").stat().st_mode) == 0o750
    assert [path.name for path in workspace.iterdir()] == ["a.sh"]


@pytest.mark.parametrize("path", ["folder", "pipe", ".", "file/below", "x" * 300])
def test_write_where_no_file_can_be_is_refused(path: str, workspace: Path) -> None:
    """Writing to a place that cannot be a file is refused in words."""
    (workspace / "folder").mkdir()
    os.mkfifo(workspace / "pipe")
    fill(workspace, file="kept")
    before = sorted(workspace.iterdir())
    with pytest.raises(ToolError, match=r"is not a file|cannot be used"):
        write_file(path, "text", context=context(workspace))
    assert sorted(workspace.iterdir()) == before
    assert (workspace / "file").read_text() == "kept"


def test_readers_see_the_old_text_or_the_new_one(workspace: Path) -> None:
    """Readers see the old text or the new one, also after a crash."""
    texts = {letter * 200_000 for letter in "ab"}
    fill(workspace, f="a" * 200_000)
    done = threading.Event()
    seen = set()

    def read() -> None:
        while not done.is_set():
            seen.add((workspace / "f").read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for text in itertools.islice(itertools.cycle(sorted(texts)), 50):
        write_file("f", text, context=context(workspace))
    done.set()
    reader.join()
    assert seen <= texts


def test_files_that_are_still_being_written_are_not_listed(workspace: Path) -> None:
    """Unfinished files of a killed write are not listed."""
    (workspace / ".holdfast-0123").write_text("half")
    assert listed(workspace) == ["(no files)"]
    assert found(workspace, "half") == ["(no hits)"]


async def test_lone_surrogates_are_cleaned(workspace: Path) -> None:
    """Lone surrogates are replaced."""
    result = write_file("a\udc80.md", "b\udc80", context=context(workspace))
    assert (workspace / clean_text("a\udc80.md")).read_text() == clean_text("b\udc80")
    assert result.files == [clean_text("a\udc80.md")]
