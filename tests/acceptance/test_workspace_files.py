"""The command `files`: what a run has written, from the store."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli_stack import CliStack

TASK = """\
Write two files.

```python area.py
print(42)
```

```text notes/a.txt
a note
```
"""


def test_files_of_a_run_are_fetched_from_the_store(cli: CliStack, tmp_path: Path) -> None:
    """They are listed, printed and written to a new folder, also of a point, and when the folder of the run is gone."""
    assert cli("run", "coder", "-", "--id", "files-1", stdin=TASK).code == 0
    folder = cli.home / "workspaces" / "files-1"
    (folder / "area.py").unlink()
    listed = cli("files", "files-1", "--json").json
    assert [file["path"] for file in listed["files"]] == ["area.py", "notes/a.txt"]
    assert cli("files", "files-1", "area.py").out == "print(42)\n"
    target = tmp_path / "out"
    assert cli("files", "files-1", "-o", str(target)).code == 0
    assert (target / "notes" / "a.txt").read_text().strip() == "a note"
    refused = cli("files", "files-1", "-o", str(target))
    assert (refused.code, "nothing is overwritten" in refused.err) == (2, True)
    assert cli("files", "files-1", "--at", "0", "--json").json["files"] == []
    assert "has no file 'x'" in cli("files", "files-1", "x").err
    assert cli("files", "no-such-run").code != 0
