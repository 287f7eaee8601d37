"""The generated reference says what the code says."""

import re
import sys

import pytest
import typer.main

from fedtiny.cli import app
from fedtiny.scenario.catalog import FAMILIES, catalog_document
from fedtiny.scenario.reference import scenario_schema

reference, markdown = sys.modules["reference"], sys.modules["markdown"]


@pytest.fixture(scope="module")
def texts():
    return {name: text() for name, text in reference.PAGES.items()}


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_of_the_reference_is_what_the_code_says(name, texts):
    file = reference.FOLDER / name
    assert file.exists(), "it was not written yet: make reference"
    same = file.read_text(encoding="utf-8") == texts[name]
    assert same, f"docs/{name} is out of date: make reference"


def test_every_key_of_every_part_is_described(texts):
    schema = scenario_schema()
    parts = {"the scenario": schema, **schema["$defs"]}
    for name, part in parts.items():
        for key, node in part.get("properties", {}).items():
            if key != "kind":
                assert node.get("description"), f"{name}.{key} has no docstring in its class"
                assert f"| `{key}` | " in texts["reference/scenario.md"]


def test_every_part_has_one_section(texts):
    for name in scenario_schema()["$defs"]:
        assert texts["reference/scenario.md"].count(f'<a id="{name.lower()}"></a>') == 1


@pytest.mark.parametrize("name", reference.PAGES)
def test_links_within_a_page_lead_somewhere(name, texts):
    text = texts[name]
    places = set(re.findall(r'<a id="([^"]+)"', text)) | {heading.strip("` ").lower() for heading in re.findall(r"^#+ (.*)$", text, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= places


def test_every_entry_of_the_catalog_is_listed_with_its_sources(texts):
    for family in FAMILIES:
        for name, entry in catalog_document(family).items():
            assert f"`{name}`" in texts["reference/catalog.md"]
            for key in entry.get("sources", {}):
                assert f'<a id="source-{key}"></a>' in texts["reference/catalog.md"]


def test_every_command_and_every_option_is_listed(texts):
    for name, command in typer.main.get_command(app).commands.items():
        section = texts["reference/commands.md"].partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or f"`{parameter.opts[0]}`" in section


def test_a_table_leaves_out_columns_without_texts_and_escapes_bars():
    assert markdown.table(("a", "b", "c"), [("x|y", "", "1\n2")]) == "| a | c |\n| --- | --- |\n| x\\|y | 1 2 |"


def test_angle_brackets_in_prose_are_no_tags():
    assert markdown.prose("runs/<name>, `<kept>`") == "runs/&lt;name>, `<kept>`"
