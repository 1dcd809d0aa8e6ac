"""Folders that runs may work in, and files in them that file tools leave alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest

from holdfast.agents.secret_files import secret_part
from holdfast.agents.tool import ToolContext, ToolError
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.errors import UsageError
from holdfast.tools import list_files, read_file, search_files, write_file

SECRET = [
    ".env",
    ".ENV",
    ".env.production",
    "prod.env",
    "server.pem",
    "tls/server.KEY",
    "id_rsa",
    "id_ed25519",
    ".ssh/config",
    ".git-credentials",
    ".netrc",
    ".aws/credentials",
    "deep/.kube/config",
    ".git/hooks/pre-commit",
    ".bash_history",
]
HARMLESS = ["env", ".env.example", "id_card.md", "id_rsa.pub", "keys.md", "pem.txt", "environment.py", ".gitignore"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a project, a state folder in it, and private things beside it."""
    (tmp_path / "project" / "docs").mkdir(parents=True)
    (tmp_path / "project" / "state" / "workspaces" / "r1").mkdir(parents=True)
    (tmp_path / "project" / "state" / "stack.json").write_text("private")
    (tmp_path / "private").mkdir()
    return tmp_path


@pytest.fixture
def roots(home: Path) -> WorkspaceRoots:
    """The project's folder is the only root."""
    return WorkspaceRoots([home / "project"], home / "project" / "state")


def context(workspace: Path, roots: WorkspaceRoots | None = None) -> ToolContext:
    """A call in a workspace."""
    return ToolContext(run_id="r", call_id="c", agent="a", turn=1, attempt=1, workspace=workspace, roots=roots)


USES: list[Callable[[str, ToolContext], object]] = [
    lambda path, context: read_file(path, context=context),
    lambda path, context: write_file(path, "overwritten", context=context),
    lambda path, context: list_files(path, context=context),
    lambda path, context: search_files("s", path, context=context),
]


@pytest.mark.parametrize("path", ["project", "project/docs", "project/new", "project/state/workspaces/r1"])
def test_folders_below_a_root_are_accepted(path: str, home: Path, roots: WorkspaceRoots) -> None:
    """A root, what is below it, and the workspaces that runs get by default are accepted."""
    assert roots.admit(home / path) == home / path


@pytest.mark.parametrize("path", ["", "private", "projects", "project/../private", "project/link", "/", "/root/.ssh"])
def test_other_folders_are_refused(path: str, home: Path, roots: WorkspaceRoots) -> None:
    """Other folders are refused, also behind links, with words that say how to allow them."""
    (home / "project" / "link").symlink_to(home / "private")
    with pytest.raises(UsageError, match=r"not below a folder that this worker may use .*: set WORKSPACE_ROOTS"):
        roots.admit(home / path)


@pytest.mark.parametrize("path", ["state", "state/workspaces", "state/logs"])
def test_the_state_folder_is_no_workspace(path: str, home: Path, roots: WorkspaceRoots) -> None:
    """The state folder is not accepted, although it is below a root."""
    with pytest.raises(UsageError, match="is in the state folder of Holdfast"):
        roots.admit(home / "project" / path)


def test_folders_of_secrets_must_be_named(home: Path, roots: WorkspaceRoots) -> None:
    """A folder that usually holds secrets is a workspace only if it is named as a root."""
    keys = home / "project" / ".ssh"
    with pytest.raises(UsageError, match=r"'\.ssh' usually holds secrets"):
        roots.admit(keys)
    assert WorkspaceRoots([keys], home / "state").admit(keys) == keys


@pytest.mark.parametrize("name", SECRET)
def test_secret_names(name: str) -> None:
    """Names that usually belong to secrets are recognized anywhere in a path, in any case."""
    assert secret_part(PurePath("a") / name / "b")


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_names(name: str) -> None:
    """Templates and names that only look alike are not secrets."""
    assert secret_part(PurePath(name)) is None


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("path", [".env", "sub/id_rsa", "notes.txt", "folder"])
def test_secrets_are_neither_read_nor_written(
    use: Callable[[str, ToolContext], object], path: str, tmp_path: Path
) -> None:
    """A file of secrets is refused by its own name and behind a link, and stays as it was."""
    (tmp_path / "sub").mkdir()
    (tmp_path / ".ssh").mkdir()
    for secret in (".env", "sub/id_rsa", ".ssh/known_hosts"):
        (tmp_path / secret).write_text("secret")
    (tmp_path / "notes.txt").symlink_to(".env")
    (tmp_path / "folder").symlink_to(".ssh")
    with pytest.raises(ToolError, match="is protected, as files of such names usually hold secrets"):
        use(path, context(tmp_path))
    assert (tmp_path / ".env").read_text() == (tmp_path / "sub/id_rsa").read_text() == "secret"


def test_secrets_are_not_listed_and_not_searched(tmp_path: Path) -> None:
    """Lists and searches leave secrets out, as if they did not exist."""
    for name in (".env", "id_rsa", "key.pem", "readme.md"):
        (tmp_path / name).write_text("the word")
    (tmp_path / "link.md").symlink_to(".env")
    assert list_files(context=context(tmp_path)) == "readme.md\t8"
    assert search_files("word", context=context(tmp_path)) == "readme.md:1: the word"


@pytest.mark.parametrize("use", USES)
def test_the_state_folder_is_private(
    use: Callable[[str, ToolContext], object], home: Path, roots: WorkspaceRoots
) -> None:
    """In a workspace around the state folder, tools neither use it nor list it."""
    with pytest.raises(ToolError, match="is protected, as it is in the state folder of Holdfast"):
        use("state/stack.json", context(home / "project", roots))
    assert (home / "project" / "state" / "stack.json").read_text() == "private"
    assert "state" not in list_files(context=context(home / "project", roots))


@pytest.mark.parametrize("use", USES)
def test_tools_check_the_workspace_of_each_call(
    use: Callable[[str, ToolContext], object], home: Path, roots: WorkspaceRoots
) -> None:
    """A call whose workspace was not checked before, or is a link by now, is refused."""
    (home / "project" / "docs").rmdir()
    (home / "project" / "docs").symlink_to(home / "private")
    with pytest.raises(ToolError, match="is not below a folder that this worker may use"):
        use("a.txt", context(home / "project" / "docs", roots))


def test_a_run_uses_its_own_workspace_in_the_state_folder(home: Path, roots: WorkspaceRoots) -> None:
    """The workspace that a run gets by default is usable, although it is in the state folder."""
    own = context(roots.own / "r1", roots)
    write_file("a.txt", "mine", context=own)
    assert list_files(context=own) == "a.txt\t4"
    assert (home / "project/state/workspaces/r1/a.txt").read_text() == "mine"


def test_new_content_does_not_inherit_setuid(tmp_path: Path) -> None:
    """A replaced file keeps its permissions, without setuid, setgid and the sticky bit."""
    program = tmp_path / "program"
    program.write_text("old")
    program.chmod(0o7751)
    write_file("program", "new", context=context(tmp_path))
    assert program.stat().st_mode & 0o7777 == 0o751


@pytest.mark.parametrize(("on_disk", "asked"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_are_found_in_either_unicode_form(on_disk: str, asked: str, tmp_path: Path) -> None:
    """A name with accents is found whichever way its characters are composed, and is not written a second time."""

    def form(text: str, wanted: str) -> str:
        return unicodedata.normalize(wanted, text)  # type: ignore[arg-type]

    folder, name = form("Übersicht", on_disk), form("größé.md", on_disk)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_text("old")
    path = form("Übersicht/größé.md", asked)
    assert read_file(path, context=context(tmp_path)).endswith("\told")
    write_file(path, "new", context=context(tmp_path))
    assert sorted(tmp_path.rglob("*")) == [tmp_path / folder, tmp_path / folder / name]
    assert (tmp_path / folder / name).read_text() == "new"
    assert list_files(pattern=form("**/grö*é.md", asked), context=context(tmp_path)) == f"{folder}/{name}\t3"


BRACES = {
    "**/*.{ts,tsx}": ["a.ts", "b.tsx", "src/c.ts", "test/d.ts"],
    "{src,test}/*.ts": ["src/c.ts", "test/d.ts"],
    "{src,test/deep}/*.{ts,js}": ["src/c.ts", "test/deep/e.js"],
    "{a,{b,x}}.ts{,x}": ["a.ts", "b.tsx"],
    "{one}.md": ["{one}.md"],
}


@pytest.mark.parametrize("pattern", BRACES)
def test_braces_are_alternatives(pattern: str, tmp_path: Path) -> None:
    """`{a,b}` in a pattern stands for either text; braces without a comma stand for themselves."""
    for name in ("a.ts", "b.tsx", "src/c.ts", "test/d.ts", "test/deep/e.js", "{one}.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    listed = list_files(pattern=pattern, context=context(tmp_path)).splitlines()
    assert [line.partition("\t")[0] for line in listed] == BRACES[pattern]


def test_too_many_alternatives_are_refused(tmp_path: Path) -> None:
    """A pattern that stands for thousands of others is refused."""
    with pytest.raises(ToolError, match="stands for more than 64 patterns"):
        list_files(pattern="{a,b}" * 30, context=context(tmp_path))
