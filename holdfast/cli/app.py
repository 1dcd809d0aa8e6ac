"""The command line as a whole: every verb, under its name."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from holdfast.cli.command import register, register_default
from holdfast.cli.program import name
from holdfast.cli.verbs import GROUPS, Verb, asked_for

SETTINGS = {"help_option_names": ["-h", "--help"]}


def application(words: Sequence[str] = ()) -> typer.Typer:
    """Makes the command line.

    Args:
        words: of a call; only what they may mean is loaded. None: everything.
    """
    app = typer.Typer(
        help=f"""Runs AI agents that do not die.

        \b
        Begin with:
          {name()} run researcher "What is promised?" --workspace docs
          {name()} list
        Commands start the local stack when they need it, unless TEMPORAL_ADDRESS
        names a server.""",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
    )
    groups: dict[str, typer.Typer] = {}
    app.callback()(lambda: None)  # else Typer takes the only command that is loaded for the program itself
    for verb in asked_for(words):
        _add(app, groups, verb)
    return app


def _add(app: typer.Typer, groups: dict[str, typer.Typer], verb: Verb) -> None:
    function, examples = verb.load()
    group = verb.group or verb.words
    if group not in GROUPS:
        register(app, verb.words, function, examples=examples)
        return
    if group not in groups:
        groups[group] = _group(GROUPS[group])
        app.add_typer(groups[group], name=group)
    if verb.words == group:
        register_default(groups[group], function, examples=examples)
    else:
        register(groups[group], verb.words.split()[1], function, examples=examples)


def _group(description: str) -> typer.Typer:
    return typer.Typer(
        help=description or None, no_args_is_help=bool(description), rich_markup_mode=None, context_settings=SETTINGS
    )
