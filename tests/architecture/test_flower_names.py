"""Every Flower name that FedTiny uses exists, and a Grid is what VirtualTimeGrid believes it to be."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from flwr.serverapp import Grid

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("fedtiny", "clients", "tests")
PRIVATE = ("flwr.common", "flwr.supercore", "flwr.superlink", "flwr.supernode", "flwr.proto", "flwr.cli")


def flower_imports() -> list[tuple[str, str]]:
    """Every (module, name) that any Python file of the repository imports from Flower."""
    found = set()
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flwr":
                found.update((str(node.module), alias.name) for alias in node.names)
    return sorted(found)


@pytest.mark.parametrize(("module", "name"), flower_imports())
def test_a_flower_name_that_is_used_exists_and_is_public(module, name):
    source = importlib.import_module(module)
    assert hasattr(source, name), f"{module} has no {name} in this version of Flower"
    if not module.startswith(PRIVATE):
        assert name in source.__all__, f"{module}.{name} is not public"


def test_a_grid_has_the_abstract_methods_that_the_virtual_one_provides():
    assert set(Grid.__abstractmethods__) == {
        "set_run",
        "run",
        "create_message",
        "get_node_ids",
        "push_messages",
        "pull_messages",
        "send_and_receive",
    }


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("push_messages", ["self", "messages"]),
        ("pull_messages", ["self", "message_ids"]),
        ("send_and_receive", ["self", "messages", "timeout"]),
        ("get_node_ids", ["self"]),
    ],
)
def test_a_grids_methods_take_what_the_virtual_ones_take(method, parameters):
    assert list(inspect.signature(getattr(Grid, method)).parameters) == parameters
