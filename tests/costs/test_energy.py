import pytest

from fedtiny.costs.energy import compute_energy, total_energy, transfer_energy, waiting_energy
from fedtiny.fleet.device import Power

POWER = Power(idle="3 W", active="7 W")


def test_computing_costs_active_and_waiting_costs_idle_power():
    assert compute_energy(POWER, 10.0) == 70.0
    assert waiting_energy(POWER, 10.0) == 30.0


def test_a_transfer_costs_its_bytes():
    assert transfer_energy(1000, 2e-6) == pytest.approx(2e-3)
    assert transfer_energy(0, 2e-6) == 0


def test_what_is_not_known_is_none_and_never_zero():
    assert compute_energy(None, 10.0) is None
    assert waiting_energy(None, 10.0) is None
    assert transfer_energy(1000, None) is None
    assert transfer_energy(0, None) is None


def test_a_sum_is_known_only_if_all_its_terms_are():
    assert total_energy(70.0, 30.0, 2e-3) == 100.002
    assert total_energy(70.0, None, 2e-3) is None
    assert total_energy(0.0, 0.0) == 0.0
