"""What the energy of a run emitted, where its scenario says on which grid its devices are: grams of CO2e by device and as a whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fedtiny.costs.carbon import grams_per_joule
from fedtiny.fleet.enrolled import AnyFleet
from fedtiny.preparation import World
from fedtiny.recording import Version, set_off
from fedtiny.results.activities import Activities
from fedtiny.results.metrics import cumulative_energy, floats
from fedtiny.results.record import ACTIVITIES, EMISSIONS
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.trace import Trace

Floats = NDArray[np.float64]


def emission_factors(scenario: Scenario) -> Floats | None:
    """Grams of CO2e of a joule by group (groups,), nan where it is not stated; None where the scenario states no carbon intensity."""
    if isinstance(scenario.fleet, tuple):
        own = [group.carbon_intensity for group in scenario.fleet]
    else:
        own = [None] * len(scenario.fleet.classes)
    stated = [scenario.carbon_intensity if intensity is None else intensity for intensity in own]
    return None if all(intensity is None for intensity in stated) else np.array([grams_per_joule(intensity) for intensity in stated])


def with_emissions(devices: pa.Table, scenario: Scenario) -> pa.Table:
    """The table of devices with their emissions; the table itself where the scenario states no carbon intensity."""
    factors = emission_factors(scenario)
    if factors is None:
        return devices
    grams = floats(devices, "energy") * factors[devices["group"].to_numpy()]
    return devices.append_column(EMISSIONS.field("carbon"), pa.array(grams, mask=np.isnan(grams)))


def emissions_summary(world: World, trace: Trace, versions: Sequence[Version], activities: Activities) -> dict[str, float | None]:
    """`carbon`, the grams of CO2e of the run's energy up to its last version, None where unknown; nothing where no intensity is stated."""
    factors = emission_factors(world.blueprint.scenario)
    if factors is None:
        return {}
    last = versions[-1:]
    spent = cumulative_energy(_InGrams(activities, world.blueprint.fleet, factors), [last[0].virtual_time])
    grams = float((spent - set_off(world, trace, last, factors))[0])
    return {"carbon": None if np.isnan(grams) else grams}


@dataclass(frozen=True)
class _InGrams:
    """Activities whose energy is in grams of CO2e."""

    activities: Activities
    fleet: AnyFleet
    factors: Floats

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return self.activities.num_rows

    def to_batches(self, max_chunksize: int) -> Iterator[pa.RecordBatch]:
        """All rows in order, this many at a time."""
        place = ACTIVITIES.get_field_index("energy")
        for batch in self.activities.to_batches(max_chunksize):
            grams = floats(batch, "energy") * self.factors[self.fleet.groups_of(batch["device"].to_numpy())]
            yield batch.set_column(place, ACTIVITIES.field(place), pa.array(grams, mask=np.isnan(grams)))
