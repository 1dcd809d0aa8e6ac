"""`fork`, `rerun` and `diff` on the command line."""

from __future__ import annotations

from tests.support.cli_stack import QUESTION, CliStack

OTHER = "Which berth is free?"


def test_fork_rerun_and_diff(cli: CliStack) -> None:
    """A run is forked, repeated and compared; everything agrees about where a run comes from."""
    run = cli("run", "researcher", QUESTION, "--workspace", str(cli.documents), "--id", "forked-1", "--json")
    assert run.code == 0, run.err
    fork = cli("fork", "forked-1", "--at", "2", "--message", OTHER, "--id", "forked-2", "--json")
    assert fork.code == 0, fork.err
    assert fork.json["turns"] > 2
    assert fork.json["workspace"] != run.json["workspace"]
    shown = cli("show", "forked-2", "--json").json
    assert (shown["forked"]["run"], shown["forked"]["turn"]) == ("forked-1", 2)
    assert sum(tool["calls"] for tool in shown["tools"].values()) == fork.json["tool_calls"]
    listed = {one["run_id"]: one for one in cli("list", "--json", "--limit", "200").json}
    assert (listed["forked-2"]["forked"], listed["forked-1"]["forked"]) == ("forked-1", None)
    again = cli("rerun", "forked-1", "--id", "forked-3", "--mode", "blocking")
    assert again.code == 0, again.err
    assert cli("show", "forked-3", "--json").json["rerun_of"] == "forked-1"
    diff = cli("diff", "forked-1", "forked-2", "--json").json
    assert diff["first"][1]["content"] == OTHER
    assert diff["b"]["usage"]["requests"] == fork.json["usage"]["requests"]
    text = cli("diff", "forked-1", "forked-2")
    assert f"the first {diff['same']} messages are the same; message {diff['same']} differs:" in text.out
    assert max(map(len, text.out.splitlines())) <= 80
    watched = cli("watch", "forked-2").out
    assert watched.index("copied from forked-1:") < watched.index("the fork of forked-1 begins here")
    assert cli("doctor", "verify", "forked-2").code == 0


def test_what_is_wrong_is_said(cli: CliStack) -> None:
    """Wrong runs and calls end with exit code 2 and a line that says what there is."""
    wrong = [
        (["fork", "no-such-run", "--at", "1"], "no run 'no-such-run'"),
        (["fork", "no-such-run", "--tool-result", "call"], "is not CALL=TEXT"),
        (["diff", "no-such-run", "no-such-run"], "no run 'no-such-run'"),
    ]
    for words, said in wrong:
        done = cli(*words)
        assert (done.code, done.out) == (2, ""), done.err
        assert said in done.err
