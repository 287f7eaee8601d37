"""The package's own source, parsed once, for the tests of its architecture."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One source file: `fedtiny.costs.memory` in unit `costs`."""

    name: str
    path: Path
    lines: list[str]
    tree: ast.Module

    @property
    def unit(self) -> str:
        """The folder or file directly below the package."""
        return self.name.split(".")[1] if "." in self.name else "__init__"

    @property
    def short(self) -> str:
        """The path below the package: `costs/memory.py`."""
        return self.path.relative_to(ROOT / "fedtiny").as_posix()

    def imports(self) -> Iterator[tuple[str, str | None]]:
        """Every (module, name) that is imported anywhere in the file, in functions and under TYPE_CHECKING too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.module or "." * node.level, alias.name) for alias in node.names)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        yield from (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))

    def classes(self) -> Iterator[ast.ClassDef]:
        yield from (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


def _module(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text(encoding="utf-8")
    return Module(name, path, text.splitlines(), ast.parse(text, str(path)))


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every source file of the package."""
    return [_module(path) for path in sorted((ROOT / "fedtiny").rglob("*.py"))]
