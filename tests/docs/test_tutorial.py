"""The tutorial, done as it is written, in an empty folder."""

import re
import sys

FEW_DIFFER = 0.02


def test_the_tutorial_leads_from_an_empty_folder_to_its_figures(reader):
    documents, pictures, tutorial = sys.modules["documents"], sys.modules["pictures"], sys.modules["tutorial"]
    folder = reader("docs/tutorial.md", documents.in_a_shell, skipped=("install",))
    for name, drawn in tutorial.DRAWN.items():
        kept = tutorial.FIGURES / f"{name}.png"
        assert pictures.difference(folder / drawn, kept) < FEW_DIFFER, f"{kept} is out of date: make tutorial"


def test_the_first_scenario_has_five_lines():
    documents, tutorial = sys.modules["documents"], sys.modules["tutorial"]
    first = next(block for block in documents.blocks(tutorial.PAGE) if block.name == "first.yaml")
    assert len(first.text.splitlines()) == 5


def test_every_picture_of_the_tutorial_is_drawn_by_its_commands():
    tutorial = sys.modules["tutorial"]
    shown = re.findall(r"!\[[^]]*\]\(figures/tutorial/(\w+)\.png\)", tutorial.PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(tutorial.DRAWN)
