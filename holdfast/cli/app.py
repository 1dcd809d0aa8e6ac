"""The command line as a whole: every verb, loaded when it is called."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from holdfast._version import __version__
from holdfast.cli.program import INSTALLED, name
from holdfast.cli.verbs import GROUPS, VERBS, sections, summaries

HELP_OPTIONS = ("-h", "--help")
SETTINGS = {"help_option_names": list(HELP_OPTIONS)}


def application() -> typer.Typer:
    """Builds the command line."""
    app = _group(
        "",
        f"""Runs AI agents that survive crashes.

        \b
        Begin with:
          {name()} demo crash
          {name()} run researcher "What survives a crash?" --workspace DIR
          {name()} list
        Commands start the local stack when they need it, unless TEMPORAL_ADDRESS
        names a server.""",
        add_completion=name() == INSTALLED,  # a shell completes the arguments of a program, not those of a script
    )
    app.callback()(_options)
    return app


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{INSTALLED} {__version__}")
        raise typer.Exit


def _group(group: str, description: str, *, add_completion: bool = False) -> typer.Typer:
    has_default = group in GROUPS and GROUPS[group].default is not None
    return typer.Typer(
        name=group,
        cls=VerbGroup,
        help=description,
        no_args_is_help=not has_default,
        add_completion=add_completion,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
    )


class VerbGroup(TyperGroup):
    """Commands of the program or of one group, of which only the one that is called is loaded.

    Its name is that of the group, empty for the program.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update(
            {word: TyperCommand(word, help=summary) for word, summary in summaries(self.name or "").items()}
        )

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the commands under their headings, all in the same two columns."""
        width = max(map(len, self.commands))
        for heading, names in sections(self.name or "").items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), self.commands[name].help or "") for name in names])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Adds the default command if the group has one and none is named; a shell that completes gets the names."""
        default = GROUPS[self.name].default if self.name in GROUPS else None
        if (
            default
            and not ctx.resilient_parsing
            and (not args or (args[0].startswith("-") and args[0] not in HELP_OPTIONS))
        ):
            args = [default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Loads the command that is called."""
        if args and args[0] in self.commands:
            self.commands[args[0]] = _loaded(f"{self.name} {args[0]}".strip())
        return super().resolve_command(ctx, args)


def _group_help(group: str) -> str:
    summary, default = GROUPS[group].summary, GROUPS[group].default
    return f"{summary}\n\nWithout a command, it is `{group} {default}`." if default else summary


def _loaded(words: str) -> Any:
    from holdfast.cli.command import register  # noqa: PLC0415 - the overview needs neither settings nor output

    if words in GROUPS:
        group = _group(words, _group_help(words))
        group.callback()(lambda: None)
        return typer.main.get_command(group)
    [verb] = (verb for verb in VERBS if verb.words == words)
    function, examples = verb.load()
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    register(app, verb.name, function, examples=examples)
    return typer.main.get_command(app)
