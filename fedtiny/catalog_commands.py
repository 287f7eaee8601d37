"""The commands that say what can be written in a scenario, and write one to start from."""

from typing import Annotated, Final

import typer

from fedtiny.command_options import AsJson
from fedtiny.terminal import print_json, print_table

CATALOG_EXAMPLE: Final = "Example: fedtiny catalog devices raspberry_pi_4 --json"
SCHEMA_EXAMPLE: Final = "Example: fedtiny schema > scenario.schema.json"
INIT_EXAMPLE: Final = "Example: fedtiny init mine && fedtiny run mine.yaml"


def catalog(
    family: Annotated[
        str, typer.Argument(metavar="devices|networks|mixes|models|datasets|partitions|updates|strategies|optimizers|schedules")
    ],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One entry, in full.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """What can be named in a scenario, with where its numbers come from."""
    from fedtiny.scenario.catalog import catalog_document, catalog_entry, catalog_rows
    from fedtiny.scenario.tree import dump_tree

    if as_json:
        print_json(catalog_entry(family, name) if name else catalog_document(family))
    elif name:
        typer.echo(dump_tree(catalog_entry(family, name)), nl=False)
    else:
        print_table(family, catalog_rows(family))


def schema() -> None:
    """The JSON schema of a scenario, for editors."""
    from fedtiny.scenario.reference import editor_schema

    print_json(editor_schema())


def init(name: Annotated[str, typer.Argument(metavar="[NAME]", help="Name of the scenario.", show_default=True)] = "my_scenario") -> None:
    """Write a small commented scenario to start from."""
    from fedtiny.scenario.files import write_template

    typer.echo(f"wrote {write_template(name)}")
