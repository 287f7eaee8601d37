"""What electricity emits where it is made.

grams = joules / 3.6e6 J/kWh x carbon intensity in g/kWh
"""

from typing import Final

JOULES_PER_KILOWATT_HOUR: Final = 3.6e6


def grams_per_joule(carbon_intensity: float | None) -> float:
    """Grams of CO2e of a joule from a grid with this intensity (g/kWh); nan where it is not known."""
    return float("nan") if carbon_intensity is None else carbon_intensity / JOULES_PER_KILOWATT_HOUR
