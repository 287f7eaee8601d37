"""docs/reference/commands.md: every command with its arguments and options, from the parser itself."""

from collections.abc import Iterator
from typing import Final

import click
import typer.main
from markdown import code, page, prose, table

from fedtiny.cli import app

INTRODUCTION: Final = """`fedtiny COMMAND --help` prints the same. Exit codes: 0 done; 1 the experiment failed, and the message says why;
2 the input is wrong, with file and line, what is allowed and what to do; 130 interrupted.

`--set KEY=VALUE` takes any YAML value, whole parts too: `--set 'strategy={kind: dga, delay: 5}'`, or `--set strategy=fedavg` where a kind
alone will do. The values of `--axis` are read as a YAML list, in which `1ms..5s:7:log` stands for seven values."""


def commands_page() -> str:
    """The page."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    found = group.commands
    rows = [(f"[{name}](#{name})", _help(command)) for name, command in found.items()]
    return page(
        "Reference: the commands", INTRODUCTION, table(("command", "what it does"), rows), *(_section(*item) for item in found.items())
    )


def _help(command: click.Command) -> str:
    return prose(command.help or "")


def _section(name: str, command: click.Command) -> str:
    given = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    usage = " ".join(
        ["fedtiny", name, "[OPTIONS]", *(_metavar(one) if one.required else f"[{_metavar(one).strip('[]')}]" for one in given)]
    )
    example = (command.epilog or "").removeprefix("Example: ")
    parts = [f"## {name}", _help(command), f"```text\n{usage}\n```", _table(options), f"For example `{example}`" if example else ""]
    return "\n\n".join(part for part in parts if part)


def _table(options: list[click.Option]) -> str:
    return table(("option", "value", "default", "what it does"), list(_rows(options)))


def _rows(options: list[click.Option]) -> Iterator[tuple[str, ...]]:
    for option in options:
        names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
        default = "" if option.is_flag or option.default in (None, ()) or not option.show_default else code(option.default)
        text = (option.help or "") + (" Can be given several times." if option.multiple else "")
        yield names, "" if option.is_flag else code(_metavar(option)), "**required**" if option.required else default, prose(text)


def _metavar(parameter: click.Parameter) -> str:
    if parameter.metavar:
        return parameter.metavar
    match parameter.type:
        case click.Choice():
            return "|".join(str(choice) for choice in parameter.type.choices)
        case click.IntRange() | click.FloatRange():
            least, most = parameter.type.min, parameter.type.max
            bounds = f" from {least}" if most is None else f" from {least} to {most}"
            return f"{'INTEGER' if isinstance(parameter.type, click.IntRange) else 'NUMBER'}{bounds if least is not None else ''}"
        case _:
            return parameter.type.name.upper()
