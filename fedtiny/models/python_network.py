"""A user's own network, from a Python file.

Loading runs the file's code. Whether that is allowed is decided before anybody calls `load_user_network`.

The class is constructed with `input_shape` and `classes` if its constructor has parameters of these names, or needs
exactly two arguments; with nothing otherwise. Its initial values are its own: its constructor draws from torch's global
generator, which is seeded from the run's for that moment and put back afterwards.
"""

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from fedtiny.errors import ModelError
from fedtiny.models.base import Inputs, Model, refuse_lite_residual

_SEEDS = 2**62


class PythonNetwork(Model):
    """A class in a Python file; needs --allow-code."""

    kind: Literal["python"] = "python"
    takes: ClassVar[Inputs] = "anything"
    path: str
    """The Python file; a relative path counts from the scenario's file."""
    name: str
    """The name in that file of a subclass of torch.nn.Module."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The file's SHA-256; where it is given, another file is refused."""

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The user's network. Runs the file's code.

        Raises ModelError where the file, its class or its constructor fails, or lite residual modules are asked for.
        """
        refuse_lite_residual(self.kind, lite_residual)
        return build_user_network(load_user_network(self.path, self.name), input_shape, classes, generator)

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """No; ModelError where the update trains them."""
        return refuse_lite_residual(self.kind, update_trains_lite)


def load_user_network(path: str | Path, name: str) -> type[nn.Module]:
    """The class `name` of the Python file at `path`; the same text is run only once in a process.

    Raises ModelError where the file cannot be read or run, or has no such class of networks.
    """
    module = _run_file(Path(path))
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, nn.Module):
        return found
    networks = sorted(key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module))
    what = f"no {name!r}" if found is None else f"{name!r}, but it is not a class derived from torch.nn.Module"
    raise ModelError(f"{path} has {what}; networks in this file: {', '.join(networks) or 'none'}")


def build_user_network(
    factory: Callable[..., nn.Module], input_shape: tuple[int, int, int], classes: int, generator: torch.Generator
) -> nn.Module:
    """What a user's class or function makes for inputs (channels, height, width).

    Raises ModelError where it needs other arguments, fails, or makes something that is not a network.
    """
    name = getattr(factory, "__name__", type(factory).__name__)
    arguments, named = _arguments(factory, name, input_shape, classes)
    seed = int(torch.randint(_SEEDS, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = factory(*arguments, **named)
        except Exception as error:
            raise ModelError(f"network {name} could not be constructed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{name} made {type(network).__name__}, but it must make a torch.nn.Module")
    return network


def _arguments(
    factory: Callable[..., nn.Module], name: str, input_shape: tuple[int, int, int], classes: int
) -> tuple[tuple[object, ...], dict[str, object]]:
    offered: dict[str, object] = {"input_shape": input_shape, "classes": classes}
    taken = inspect.signature(factory).parameters
    needed = [one for one in taken.values() if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    named = {key: value for key, value in offered.items() if key in taken}
    if all(one.name in named for one in needed):
        return (), named
    if len(needed) == len(offered) and not named and all(one.kind is not one.KEYWORD_ONLY for one in needed):
        return (input_shape, classes), {}
    raise ModelError(
        f"network {name} needs the arguments {', '.join(one.name for one in needed)}, but FedTiny offers input_shape and classes only: "
        "give the others defaults"
    )


def _run_file(path: Path) -> ModuleType:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the network's file {path}: {error.strerror or error}") from error
    identity = f"fedtiny_user_network_{hashlib.sha256(str(path.resolve()).encode() + text).hexdigest()[:32]}"
    if identity in sys.modules:
        return sys.modules[identity]
    spec = importlib.util.spec_from_loader(identity, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[identity] = module
    try:
        exec(compile(text, str(path), "exec"), vars(module))  # noqa: S102  the user allowed it
    except BaseException as error:
        del sys.modules[identity]
        if not isinstance(error, (Exception, SystemExit)):
            raise
        raise ModelError(f"the network's file {path} failed: {type(error).__name__}: {error}") from error
    return module
