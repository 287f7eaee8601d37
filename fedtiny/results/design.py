"""What a design leaves beside its checkpoint: design.json."""

import json
from pathlib import Path
from typing import Any, Final

from fedtiny.errors import FolderError

DESIGN_FILE: Final = "design.json"


def is_design(folder: Path) -> bool:
    """Whether a folder is that of a design."""
    return (folder / DESIGN_FILE).is_file()


def read_design(folder: Path) -> dict[str, Any]:
    """The document of a design. Raises FolderError where the folder has none, or one that cannot be read."""
    try:
        found = json.loads((folder / DESIGN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder} is no folder of a design ({error}): `fedtiny design SCENARIO --output {folder}` writes one") from error
    if not isinstance(found, dict):
        raise FolderError(f"{folder / DESIGN_FILE} is no document of a design: run `fedtiny design` again")
    return found
