"""The shipped coder with the scripted model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from holdfast.agents.shipped.coder import coder
from holdfast.models import SCRIPTED_MARK
from holdfast.scripted.model import respond
from tests.support.lab import Lab
from tests.support.sandboxes import best

TASK = """\
Write two files, look at the result, then run `python3 test_area.py` and `cat missing.txt`.

```python area.py
def area(width, height):
    return width * height
```

```python test_area.py
from area import area
assert area(3, 4) == 12
print("one test passed")
```

```python
import area
open("result.txt", "w").write(str(area.area(6, 7)))
```
"""


async def test_the_coder_writes_and_runs_what_a_task_quotes(lab: Lab, tmp_path: Path) -> None:
    """The coder writes the files of a task and runs its programs; the answer has what they printed, and is marked."""
    lab.server.respond = respond
    lab = replace(lab, settings=lab.settings.model_copy(update={"holdfast_sandbox": await best()}))
    workspace = tmp_path / "workspace"
    async with lab.worker(coder, max_cached_workflows=100):
        result = await lab.holdfast.run("coder", TASK, workspace=workspace)
    assert result.success
    assert (workspace / "result.txt").read_text() == "42"
    for words in ("I wrote `area.py`.", "one test passed", "written: result.txt", "missing.txt: No such file"):
        assert words in result.content, result.content
    assert SCRIPTED_MARK in result.content
    assert result.metadata["tool_calls"] == 6
