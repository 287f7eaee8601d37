"""What of the style can be counted: sizes of files and functions, names of files, inheritance, sources of randomness."""

import ast
from pathlib import Path

import pytest
from torch import nn

MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "tools", "functions"}

# Files that are one thing and longer: none so far.
LONGER_FILES: set[str] = set()

# Where networks draw from torch's global generator (a user's initial values, dropout): it is seeded from a named stream first.
SEEDS_GLOBAL_GENERATORS = {"models/python_network.py", "blueprint.py", "preparation.py", "training/local.py", "apps/isolation.py"}

# Working code that may be replaced: a strategy's `start`, so that people can write DGA(...).start(grid, arrays) as with Flower's.
MAY_OVERRIDE = {("strategies", "start")}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, its docstring and decorators not counted."""
    documented = ast.get_docstring(function) is not None
    first = function.body[0]
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def test_package_files_below_the_root_hold_only_a_docstring(modules):
    for module in modules:
        if module.path.name == "__init__.py" and module.name != "fedtiny":
            assert ast.get_docstring(module.tree), f"{module.short} has no docstring"
            assert len(module.tree.body) == 1, f"{module.short} holds more than a docstring"


def test_every_module_says_what_it_is_for(modules):
    assert [module.short for module in modules if not ast.get_docstring(module.tree)] == []


def test_no_file_is_named_after_nothing(modules):
    assert [module.short for module in modules if FORBIDDEN_NAMES & set(Path(module.short).with_suffix("").parts)] == []


def test_files_are_shorter_than_300_lines(modules):
    long = {module.short for module in modules if len(module.lines) >= MOST_LINES_OF_A_FILE}
    assert long == LONGER_FILES


def test_functions_have_at_most_40_lines(modules):
    long = [
        f"{module.short}:{function.name} {length(function)}"
        for module in modules
        for function in module.functions()
        if length(function) > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


@pytest.fixture(scope="session")
def bases(modules) -> dict[str, set[str]]:
    """Every class of the package and the last names of its direct bases; torch's own layers are modules too."""
    found: dict[str, set[str]] = {}
    for module in modules:
        for node in module.classes():
            found.setdefault(node.name, set()).update(ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases)
    for direct in found.values():
        direct |= {"Module" for base in direct if base not in found and isinstance(getattr(nn, base, None), type)}
    return found


def ancestors(name: str, bases: dict[str, set[str]]) -> set[str]:
    direct = bases.get(name, set())
    return direct.union(*(ancestors(base, bases) for base in direct))


def test_super_is_called_in_torch_modules_only(modules, bases):
    wrong = [
        f"{module.short}:{call.lineno}"
        for module in modules
        for node in module.classes()
        if "Module" not in ancestors(node.name, bases)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "super"
    ]
    assert wrong == []


def methods(node: ast.ClassDef) -> dict[str, bool]:
    """The methods of a class, and whether each is abstract."""
    defined = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {item.name: any("abstractmethod" in ast.unparse(decorator) for decorator in item.decorator_list) for item in defined}


def test_no_working_code_is_overridden(modules, bases):
    defined = {node.name: methods(node) for module in modules for node in module.classes()}
    wrong = [
        f"{module.short}: {node.name}.{method} overrides {ancestor}.{method}"
        for module in modules
        for node in module.classes()
        for method in methods(node)
        for ancestor in ancestors(node.name, bases)
        if defined.get(ancestor, {}).get(method) is False and (module.unit, method) not in MAY_OVERRIDE
    ]
    assert wrong == []


def test_random_numbers_come_from_named_streams_only(modules):
    """NumPy's and torch's global generators have no name; randomness.py makes the generators of every stream."""
    global_generators = {"torch.manual_seed", "torch.seed", "torch.initial_seed"}
    wrong = [
        f"{module.short}:{node.lineno} {text}"
        for module in modules
        if module.short not in {"randomness.py", *SEEDS_GLOBAL_GENERATORS}
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ((text := ast.unparse(node.func)).startswith("np.random.") or text in global_generators)
    ]
    assert wrong == []
