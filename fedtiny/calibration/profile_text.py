"""A calibration as a profile: the keys of a device as a scenario takes them, and the YAML file that says how each was measured."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from fedtiny.calibration.calibrate import Calibration
from fedtiny.errors import FolderError

_READABLE: Final = 0o644
_PREFIXES: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_TIMES: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_NOTES: Final[Mapping[str, str]] = {
    "rates": "forward passes, multiply-accumulates per second",
    "backward_factor": "how many times as long as forward, for the gradient of an input",
    "weight_factor": "the same for the gradient of a weight",
    "memory_bandwidth": "as norms, activations and updates see it; of values in caches, too",
    "dispatch_overhead": "to start an operator",
    "dispatched": "all operators that torch starts are counted",
    "convolution_overhead": "more, to hand a convolution to torch's library",
    "group_overhead": "for each group of a convolution",
}


def device_keys(calibration: Calibration) -> dict[str, Any]:
    """The keys of a device {kind: custom, ...}, quantities as texts with four digits."""
    speed = calibration.speed
    return {
        "kind": "custom",
        "memory": _size(calibration.machine.memory),
        "rates": {name: _scaled(rate, "MAC/s") for name, rate in speed["rates"].items()},
        "backward_factor": {name: float(f"{factor:.4g}") for name, factor in speed["backward_factor"].items()},
        "weight_factor": {name: float(f"{factor:.4g}") for name, factor in speed["weight_factor"].items()},
        "memory_bandwidth": _scaled(speed["memory_bandwidth"], "B/s"),
        "dispatched": "operators",
        **{key: _time(speed[key]) for key in ("dispatch_overhead", "convolution_overhead", "group_overhead")},
    }


def profile_text(calibration: Calibration, file: str, when: str) -> str:
    """The YAML file: the keys, and as comments what was measured, how, and how well the profile explains it."""
    return "\n".join([*_head(calibration, file, when), *_body(device_keys(calibration), calibration)]) + "\n"


def _head(calibration: Calibration, file: str, when: str) -> Iterator[str]:
    machine, kept = calibration.machine, calibration.measured
    times = min(each.timing.times for each in kept)
    lines = [
        f"A device profile that `fedtiny calibrate` measured on {when}. In a scenario's fleet, or its keys pasted in the place of these:",
        f"  device: {{kind: profile, path: {file}}}",
        "",
        f"Machine:   {machine.processor}, {machine.cores} cores",
        f"Software:  {machine.software}; {machine.threads} thread, as FedTiny trains",
        f"Measured:  {len(kept)} of {calibration.known} training steps (forward, backward, update) of networks of FedTiny's own, none of",
        f"           them in its catalog, in turns, {times} times each, in {calibration.seconds:.0f} s. Medians count; quartiles lie",
        f"           {calibration.spread:.0%} of it apart (median of all steps).",
        "Fitted:    all numbers but memory, at once, to the logarithms of these medians, by the model of time of",
        f"           fedtiny/costs/compute.py. The profile explains them with a median error of {calibration.error:.0%}, nine in ten",
        f"           within {calibration.ninth_decile:.0%}.",
        "Not known: what the machine draws (power), and how fast it pages.",
    ]
    yield from (f"# {line}".rstrip() for line in lines)
    yield ""


def _body(keys: Mapping[str, Any], calibration: Calibration) -> Iterator[str]:
    for key, value in keys.items():
        if isinstance(value, Mapping):
            yield f"{key}:  # {_NOTES[key]}"
            yield from (f"  {name}: {each}" for name, each in value.items())
        else:
            note = calibration.machine.memory_from if key == "memory" else _NOTES.get(key)
            yield f"{key}: {value}" + (f"  # {note}" if note else "")


def _scaled(value: float, unit: str) -> str:
    size, prefix = next((one for one in _PREFIXES if value >= one[0]), _PREFIXES[-1])
    return f"{value / size:.4g} {prefix}{unit}"


def _time(seconds: float) -> str:
    size, unit = next((one for one in _TIMES if seconds >= one[0]), _TIMES[-1])
    return f"{seconds / size:.4g} {unit}"


def _size(count: int) -> str:
    return f"{count // 10**6} MB"


def calibration_document(calibration: Calibration) -> dict[str, Any]:
    """All of a calibration, for JSON: the machine, the keys of its profile, and every step with its seconds."""
    steps = [
        {
            "network": each.probe.name,
            "trains": each.probe.plan.scheme,
            "batch": each.probe.batch_size,
            "seconds": each.timing.seconds,
            "spread": each.timing.spread,
            "times": each.timing.times,
            "predicted": each.predicted,
        }
        for each in calibration.measured
    ]
    return {"machine": asdict(calibration.machine), "device": device_keys(calibration), "error": calibration.error, "steps": steps}


def require_place(file: Path) -> None:
    """Raises FolderError where no file can be written; asked before a measurement that would be lost."""
    if file.is_dir():
        raise FolderError(f"{file} is a folder: name the YAML file to write, such as {file / 'my_machine.yaml'}")
    if not file.parent.is_dir():
        raise FolderError(f"{file} cannot be written: there is no folder {file.parent}; make it first")
    if not os.access(file.parent, os.W_OK):
        raise FolderError(f"{file} cannot be written: {file.parent} may not be written to; name another place")


def write_whole(file: Path, text: str) -> None:
    """Writes a text, whole or not at all; what the file held before is replaced."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as part:
            part.write(text)
        Path(name).chmod(_READABLE)
        Path(name).replace(file)
    except OSError as error:
        raise FolderError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        Path(name).unlink(missing_ok=True)
