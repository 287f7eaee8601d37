"""What the tests of the documents share: how pages are read and followed (docs/generators/documents.py)."""

import importlib.util
import sys
from pathlib import Path

import pytest

GENERATORS = Path(__file__).parents[2] / "docs" / "generators"


def load(name: str):
    """A module of docs/generators, under its own name, as the generators import each other."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, GENERATORS / f"{name}.py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


GENERATOR_NAMES = (
    "documents",
    "pictures",
    "tutorial",
    "commands",
    "markdown",
    "scenario_page",
    "catalog_page",
    "commands_page",
    "gallery",
    "reference",
)
for generator in GENERATOR_NAMES:
    load(generator)


@pytest.fixture(scope="session")
def pretrained_once(tmp_path_factory):
    """A cache of its own for networks that pages pre-train, so that none is found from before."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def reader(tmp_path, pretrained_once, monkeypatch):
    """Who does in an empty folder what a page says; gives the folder."""
    documents = load("documents")
    monkeypatch.setenv("FEDTINY_CACHE", str(pretrained_once))

    def follow(name: str, perform, skipped=()) -> Path:
        documents.follow(documents.ROOT / name, tmp_path, perform, skipped)
        return tmp_path

    return follow
