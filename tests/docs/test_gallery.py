"""Every scenario of the repository is in the gallery, with a picture."""

import sys

import numpy as np
import pytest
import yaml
from PIL import Image

gallery = sys.modules["gallery"]
SCENARIOS = sorted(gallery.SCENARIOS.glob("**/*.yaml"))
MOST_BYTES = 2_000_000


def test_every_scenario_is_in_the_gallery_once():
    assert sorted(entry.scenario for entry in gallery.ENTRIES) == SCENARIOS, "add it to docs/generators/gallery.py"


@pytest.mark.parametrize("entry", gallery.ENTRIES, ids=lambda entry: entry.name)
def test_a_scenario_has_a_picture_of_which_one_can_see_something(entry):
    assert entry.picture.exists(), f"make gallery, or python docs/generators/gallery.py {entry.name}"
    with Image.open(entry.picture) as picture:
        assert picture.width >= 300
        assert len(np.unique(np.asarray(picture.convert("L").resize((40, 20))))) > 5


@pytest.mark.parametrize("entry", gallery.ENTRIES, ids=lambda entry: entry.name)
def test_a_scenario_says_what_it_asks_and_is_run_by_the_command_for_it(entry):
    text = gallery.question(entry.scenario)
    assert len(text) > 30
    assert text.endswith((".", "?"))
    assert entry.takes
    assert entry.see.endswith(".")
    said = yaml.safe_load(entry.scenario.read_text(encoding="utf-8"))
    assert entry.command == next((command for command in ("sweep", "design") if command in said), "run")


def test_the_pictures_of_the_gallery_are_small_and_none_is_left_over():
    drawn = list((gallery.FIGURES / "gallery").glob("*"))
    assert sorted(drawn) == sorted(entry.picture for entry in gallery.ENTRIES if entry.drawn_here)
    assert sum(file.stat().st_size for file in drawn) < MOST_BYTES
