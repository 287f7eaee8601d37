"""A device whose profile is in a file of its own, such as `fedtiny calibrate` writes of the machine it runs on.

A scenario says `device: {kind: profile, path: FILE}`. The file is YAML and holds the keys of a device of kind custom, which take the place
of this when the scenario is read, so that the resolved scenario says all of it. Nothing of a file is executed.
"""

from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from fedtiny.errors import ScenarioError
from fedtiny.fleet.device import CUSTOM, CustomDevice

PROFILE: Final = "profile"
MOST_BYTES: Final = 100_000


def read_profile(path: str | Path) -> dict[str, Any]:
    """The keys of the custom device that a file describes, named like the file where it names none. Raises ScenarioError."""
    file = Path(path)
    try:
        plain = yaml.safe_load(_content(file))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _no_profile(file, f"it is not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(plain, dict):
        raise _no_profile(file, f"it holds {type(plain).__name__} and no keys")
    keys = {"kind": CUSTOM, "name": file.stem, **plain}
    try:
        CustomDevice.model_validate(keys)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise _no_profile(file, f"{place}: {first['msg']}".lstrip(": ")) from None
    return keys


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ScenarioError(f"cannot read the device profile {file}: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise _no_profile(file, f"it has more than {MOST_BYTES} bytes")
    return content


def _no_profile(file: Path, why: str) -> ScenarioError:
    return ScenarioError(f"{file} is no device profile: {why}. `fedtiny calibrate --out FILE` writes one of this machine")
