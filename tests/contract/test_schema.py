"""The schema: operators' queries use indexes on both engines and never scan whole tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from holdfast.ports import Store
from holdfast.storage.mirror.rows import run_id
from holdfast.storage.mirror.sample import SampleRun
from holdfast.types import RunStatus
from tests.support.dump import TABLES
from tests.support.engine import Engine, open_engine
from tests.support.logs import Log, Turn

WHOLE_TABLE = re.compile("Iterate Table|TableScan|FullScan")
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
FAMILY = {"r": None, "r/1": "r", "r/2": "r", "r/1/1": "r/1"}
"""Runs with their parents."""


@dataclass(frozen=True)
class Question:
    """What an operator wants to know."""

    name: str
    statement: str
    served_by: str
    """An index, or how the engines' plans name a range of ids."""


QUESTIONS = (
    Question(
        "slowest calls of a tool",
        "SELECT run, run.agent AS agent, seconds, result.content AS content FROM tool_call WHERE tool = 'tool a' "
        "ORDER BY seconds DESC LIMIT 10",
        "tool_call_tool",
    ),
    Question(
        "calls that took long",
        "SELECT id, seconds FROM tool_call WHERE tool = 'tool a' AND seconds >= 0",
        "tool_call_tool",
    ),
    Question(
        "cost by agent and day",
        "SELECT agent, time::format(started_at, '%Y-%m-%d') AS day, math::sum(cost_usd) AS cost FROM run "
        "WHERE started_at >= $since GROUP BY agent, day",
        "run_started_at",
    ),
    Question("runs that wait", "SELECT id, agent FROM run WHERE status = 'waiting'", "run_status"),
    Question(
        "failures by reason",
        "SELECT error_type, count() AS runs FROM run WHERE status IN ['failed', 'timed_out', 'terminated'] "
        "GROUP BY error_type",
        "run_status",
    ),
    Question(
        "runs that failed for a reason",
        "SELECT id, error FROM run WHERE error_type = 'MaxTurnsExceeded'",
        "run_error_type",
    ),
    Question(
        "what waits for a person",
        "SELECT run, kind, what, since, until FROM wait WHERE open = true AND kind IN ['approval', 'question']",
        "wait_open",
    ),
    Question("runs of an agent", "SELECT id, status, cost_usd FROM run WHERE agent = 'sample'", "run_agent"),
    Question("children of a run", "SELECT id, status FROM run WHERE parent = $run", "run_parent"),
    Question("messages of a run", "SELECT role, content FROM message:[$id, 0]..=[$id, ..]", "message:|'message'"),
    Question(
        "checkpoints of a run",
        "SELECT timestamp, data FROM agent_checkpoint:[$id, NONE]..=[$id, ..]",
        "agent_checkpoint:|'agent_checkpoint'",
    ),
)


@pytest.fixture(scope="module", params=["mem", "ws"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each dialect of the database, with a family of runs, and one that waits."""
    with open_engine(request.param, tmp_path_factory.mktemp("engine")) as engine:
        engine.run(fill(engine.store))
        yield engine


async def fill(store: Store) -> None:
    turns = (Turn("t", calls=("a",), answers=(0,), extra=None),)
    for name, parent in FAMILY.items():
        await store.append(Log(turns=turns, ended=True, run_id=name, parent=parent).batch())
    await store.append(SampleRun(turns=1, status=RunStatus.WAITING).batch())
    waits = (Turn("t", calls=("a",), answers=(), extra=None, waits=(False,)),)
    await store.append(Log(turns=waits, ended=False, run_id="w").batch())


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_is_served_by_an_index(engine: Engine, question: Question) -> None:
    """Each query that operators need uses an index."""
    values = {"id": "r", "run": run_id("r"), "since": SINCE}
    [answer] = engine.run(engine.ask(question.statement, **values))
    assert answer
    [plan] = engine.run(engine.ask(f"{question.statement} EXPLAIN", **values))
    assert re.search(question.served_by, str(plan)), plan
    assert not WHOLE_TABLE.search(str(plan)), plan


def test_a_run_shows_the_tree_that_it_spawned(engine: Engine) -> None:
    """One query returns all runs below a run."""
    [tree] = engine.run(engine.ask("RETURN $run.{..}.{ id, children: ->spawned->run.@ }", run=run_id("r")))
    children = {child["id"].id: child["children"] for child in tree["children"]}
    assert sorted(children) == ["r/1", "r/2"]
    assert [grandchild["id"].id for grandchild in children["r/1"]] == ["r/1/1"]
    assert children["r/2"] == []


def test_every_table_knows_its_columns(engine: Engine) -> None:
    """Every table of the mirror exists and refuses unknown columns."""
    [info] = engine.run(engine.ask("INFO FOR DB"))
    for table in TABLES:
        assert "SCHEMAFULL" in info["tables"][table], table
    for edge in ("spawned", "forked"):
        assert re.search("TYPE RELATION IN run OUT run", info["tables"][edge])


def test_comments_describe_what_is_written(engine: Engine) -> None:
    """Comments of tables name the parts of their rows' ids; none speaks of what cannot be done yet."""
    [info] = engine.run(engine.ask("INFO FOR DB"))
    for table, definition in info["tables"].items():
        assert "empty while" not in definition, table
        rows = engine.run(engine.ask("SELECT VALUE id FROM type::table($table) LIMIT 1", table=table))[0]
        named = re.search(r"; id \[(.*?)\]", definition)
        if rows and named:
            assert len(rows[0].id) == len(named[1].split(",")), table
    [memory] = engine.run(engine.ask("INFO FOR TABLE memory"))
    assert "COMMENT 'a digest for each key and value" in memory["fields"]["facets"]
