"""Quantities with units: the YAML says "20 ms", the code computes in one base unit per dimension.

| dimension | base unit | type | examples |
|---|---|---|---|
| time | second | Seconds, PositiveSeconds | `20 ms`, `1.5 s`, `10 min`, `6 h`, `2 d` |
| memory and payload | byte | Bytes | `256 kB` (256 000 B), `256 KiB` (262 144 B), `1 GB` |
| data rate | byte per second | BytesPerSecond | `5 Mbit/s`, `1 MB/s`, `unlimited` |
| compute rate | multiply-accumulate per second | MacsPerSecond | `60 MMAC/s`, `8 GMAC/s` |
| power | watt | Watts | `2.5 W`, `39 mW` |
| energy | joule | Joules | `1 J`, `3 mJ` |
| what a battery holds | joule | StoredJoules | `15 Wh`, `4000 mAh x 3.85 V` |
| energy per byte | joule per byte | JoulesPerByte | `92 nJ/B`, `11.5 nJ/bit` |
| carbon intensity of electricity | gram of CO2e per kilowatt-hour | CarbonIntensity | `400 g/kWh`, `0.4 kg/kWh` |

The space between number and unit is optional. A bare number is refused where a unit is needed, because nobody can
tell 20 ms from 20 s afterwards. Values are written back in the base unit, with all their digits.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from fedtiny.errors import UnitError

_NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*", re.DOTALL)
_LONGEST_QUANTITY: Final = 60
_SI: Final = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY: Final = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
_SMALL: Final = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12}

TIME: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}
SIZE: Final = {f"{prefix}B": factor for prefix, factor in {**_SI, **_BINARY}.items()}
DATA_RATE: Final = {f"{unit}/s": factor for unit, factor in SIZE.items()} | {f"{prefix}bit/s": factor / 8 for prefix, factor in _SI.items()}
COMPUTE_RATE: Final = {f"{prefix}MAC/s": factor for prefix, factor in _SI.items()}
POWER: Final = {f"{prefix}W": factor for prefix, factor in {**_SMALL, "k": 1e3}.items()}
ENERGY: Final = {f"{prefix}J": factor for prefix, factor in {**_SMALL, "k": 1e3, "M": 1e6}.items()} | {"Wh": 3600.0, "mWh": 3.6}
ENERGY_PER_BYTE: Final = {f"{prefix}J/B": factor for prefix, factor in _SMALL.items()} | {
    f"{prefix}J/bit": factor * 8 for prefix, factor in _SMALL.items()
}

CARBON_INTENSITY: Final = {"g/kWh": 1.0, "kg/kWh": 1e3, "kg/MWh": 1.0, "t/MWh": 1e3}

CHARGE: Final = {"mAh": 3.6, "Ah": 3600.0}
VOLTAGE: Final = {"V": 1.0, "mV": 1e-3}

UNLIMITED: Final = math.inf


def parse_quantity(value: object, units: Mapping[str, float], example: str) -> float:
    """The quantity in its base unit, from a text such as "20 ms".

    Raises UnitError where the unit is missing or of another dimension, or the number is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnitError(f"expected a quantity with a unit, such as '{example}', found {value!r}")
    if isinstance(value, (int, float)):
        raise UnitError(f"the unit is missing in {value!r}: write for example '{example}' (units: {_names(units)})")
    found = _NUMBER.fullmatch(value) if len(value) <= _LONGEST_QUANTITY else None
    if found is None:
        raise UnitError(f"expected a number and a unit, such as '{example}', found {value[:_LONGEST_QUANTITY]!r}")
    number, unit = found.groups()
    if unit not in units:
        problem = f"the unit is missing in {value!r}" if not unit else f"unknown unit {unit!r} in {value!r}"
        raise UnitError(f"{problem}: write for example '{example}' (units: {_names(units)})")
    result = float(number) * units[unit]
    if not math.isfinite(result):
        raise UnitError(f"{value!r} is too large to be a quantity")
    return result


def _names(units: Mapping[str, float]) -> str:
    return ", ".join(sorted((unit for unit in units if "µ" not in unit), key=lambda unit: units[unit]))


def _checked(
    units: Mapping[str, float], example: str, *, zero: bool, unlimited: bool = False, whole: bool = False
) -> Callable[[object], float]:
    def read(value: object) -> float:
        if unlimited and value == "unlimited":
            return UNLIMITED
        number = parse_quantity(value, units, example)
        if number < 0 or (number == 0 and not zero):
            raise UnitError(f"{value!r} must be {'at least' if zero else 'more than'} 0")
        return float(round(number)) if whole else number

    return read


def _stored(value: object) -> float:
    """Joules of a battery, as energy or as charge times voltage."""
    charge, times, voltage = value.partition(" x ") if isinstance(value, str) else ("", "", "")
    if not times:
        return _positive_energy(value)
    joules = parse_quantity(charge, CHARGE, "4000 mAh") * parse_quantity(voltage, VOLTAGE, "3.85 V")
    return _positive_energy(f"{joules!r} J")


_positive_energy: Final = _checked(ENERGY, "15 Wh", zero=False)


def _writer(unit: str) -> Callable[[float], str]:
    def write(number: float) -> str:
        return "unlimited" if number == UNLIMITED else f"{number!r} {unit}"

    return write


def _schema(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example], "description": f"a quantity with its unit, such as {example}"})


Seconds = Annotated[float, BeforeValidator(_checked(TIME, "20 ms", zero=True)), PlainSerializer(_writer("s")), _schema("20 ms")]
PositiveSeconds = Annotated[float, BeforeValidator(_checked(TIME, "20 ms", zero=False)), PlainSerializer(_writer("s")), _schema("20 ms")]
Bytes = Annotated[
    float, BeforeValidator(_checked(SIZE, "256 kB", zero=False, whole=True)), PlainSerializer(_writer("B")), _schema("256 kB")
]
BytesPerSecond = Annotated[
    float,
    BeforeValidator(_checked(DATA_RATE, "5 Mbit/s", zero=False, unlimited=True)),
    PlainSerializer(_writer("B/s")),
    _schema("5 Mbit/s"),
]
MacsPerSecond = Annotated[
    float, BeforeValidator(_checked(COMPUTE_RATE, "60 MMAC/s", zero=False)), PlainSerializer(_writer("MAC/s")), _schema("60 MMAC/s")
]
Watts = Annotated[float, BeforeValidator(_checked(POWER, "2.5 W", zero=True)), PlainSerializer(_writer("W")), _schema("2.5 W")]
Joules = Annotated[float, BeforeValidator(_checked(ENERGY, "1 J", zero=True)), PlainSerializer(_writer("J")), _schema("1 J")]
JoulesPerByte = Annotated[
    float, BeforeValidator(_checked(ENERGY_PER_BYTE, "92 nJ/B", zero=True)), PlainSerializer(_writer("J/B")), _schema("92 nJ/B")
]
StoredJoules = Annotated[float, BeforeValidator(_stored), PlainSerializer(_writer("J")), _schema("4000 mAh x 3.85 V")]
CarbonIntensity = Annotated[
    float,
    BeforeValidator(_checked(CARBON_INTENSITY, "400 g/kWh", zero=True)),
    PlainSerializer(_writer("g/kWh")),
    _schema("400 g/kWh"),
]
