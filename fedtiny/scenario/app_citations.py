"""What a run of somebody's own Flower app stands on: Flower, and the sources of the devices and networks of its fleet."""

from typing import cast

from fedtiny.results.record import Citation
from fedtiny.scenario.app_schema import AppScenario
from fedtiny.scenario.citations import work
from fedtiny.scenario.device_citations import device_citations
from fedtiny.scenario.schema import Scenario


def app_citations(scenario: AppScenario) -> list[Citation]:
    """What such a scenario uses, each work once."""
    return [work("beutel2020flower", "apps and messages"), *device_citations(cast(Scenario, scenario))]
