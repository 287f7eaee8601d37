"""Memory that is too small on a device that pages: closed forms for seconds and joules, told wherever it matters."""

import pytest

import fedtiny
from fedtiny.costs.paging import paged_bytes, paging_energy, paging_seconds
from fedtiny.errors import InfeasibleError
from fedtiny.fleet.device import DeviceProfile
from fedtiny.plan import class_rows, plan
from fedtiny.preparation import check
from fedtiny.reports.tables import fleet_table

STORAGE = {"read": "40 kB/s", "write": "20 kB/s", "power": "0.5 W"}
SCENARIO = """
name: tight
model: {kind: small_cnn}
data: {kind: synthetic, examples: 80, test_examples: 4, image_size: 8, channels: 1}
training: {batch_size: 20, local_steps: 3}
strategy: fedavg
fleet:
  - {count: 2, device: {kind: custom, memory: 10 kB, step_time: 1 s, power: {idle: 1 W, active: 3 W},
                        paging: {read: 40 kB/s, write: 20 kB/s, power: 0.5 W}}, network: {kind: custom, latency: 500 ms}}
stop: {rounds: 2}
"""


def device(**given):
    return DeviceProfile(**{"name": "by_hand", "device_class": "test", "memory": "300 kB", "step_time": "1 s", **given})


@pytest.fixture
def tight(tmp_path):
    path = tmp_path / "tight.yaml"
    path.write_text(SCENARIO)
    return lambda **overrides: fedtiny.load_scenario(path, overrides)


def test_what_does_not_fit_is_written_once_and_read_once():
    paging = device(paging=STORAGE)
    assert (paged_bytes(300_000, paging), paging_seconds(300_000, paging)) == (0, 0.0)
    assert paged_bytes(420_000, paging) == 120_000
    assert paging_seconds(420_000, paging) == pytest.approx(120 / 20 + 120 / 40)
    assert (paged_bytes(420_000, device()), paging_seconds(420_000, device())) == (0, 0.0)


def test_waiting_for_storage_draws_its_own_power_or_that_of_work():
    powered = {"power": {"idle": "1 W", "active": "3 W"}}
    assert paging_energy(device(paging=STORAGE, **powered), 10.0) == 5.0
    assert paging_energy(device(paging={"read": "1 B/s", "write": "1 B/s"}, **powered), 10.0) == 30.0
    assert paging_energy(device(paging=STORAGE), 10.0) is None


def needed(scenario):
    return plan(scenario).document["classes"][0]["peak_memory"]


def test_a_step_takes_the_storage_longer_and_joules_and_plan_follow(tight):
    fits = fedtiny.run(tight(**{"device.memory": "1 GB"}))
    pages = fedtiny.run(tight())
    excess = needed(tight(learning="none")) - 10_000
    waits = excess / 20e3 + excess / 40e3
    assert excess > 0
    assert pages.summary["virtual_time"] == pytest.approx(fits.summary["virtual_time"] + 2 * 3 * waits, rel=1e-9)
    # on two devices in two rounds three steps wait for storage, during which 0.5 W are drawn
    assert pages.summary["energy"] == pytest.approx(fits.summary["energy"] + 2 * 2 * 3 * waits * 0.5, rel=1e-9)
    spans = dict.fromkeys(("train", "paging"), 0.0)
    for row in pages.activities.to_pylist():
        if row["kind"] in spans:
            spans[row["kind"]] += row["end"] - row["start"]
    assert spans == pytest.approx({"train": 2 * 2 * 3 * 1.0, "paging": 2 * 2 * 3 * waits})
    planned = plan(tight(learning="none")).document
    assert planned["virtual_time"] == pages.summary["virtual_time"]
    assert planned["energy"] == pytest.approx(pages.summary["energy"], rel=1e-12)
    (row,) = planned["classes"]
    assert (row["paged_bytes"], row["fits"]) == (excess, True)
    assert row["step_seconds"] == pytest.approx(1.0 + waits)
    assert row["paging_seconds"] == pytest.approx(3 * waits)


def test_memory_that_is_too_small_is_a_cause_of_its_own_where_the_time_went(tight):
    # a round of the slowest device: two ways of 0.5 s, three steps of 1 s, and three waits for storage
    pages, planned = fedtiny.run(tight()), plan(tight(learning="none")).document
    waits = 3 * ((needed(tight(learning="none")) - 10_000) * (1 / 20e3 + 1 / 40e3))
    assert pages.attribution["critical_path"] == pytest.approx({"compute": 6.0, "latency": 2.0, "out_of_memory": 2 * waits}, rel=1e-9)
    assert planned["bottleneck"]["seconds_per_round"] == pytest.approx({"compute": 3.0, "latency": 1.0, "out_of_memory": waits}, rel=1e-9)
    assert set(pages.rounds["bottleneck_cause"].to_pylist()[1:]) == {"out_of_memory"}
    assert pages.summary["bottleneck"] == planned["bottleneck"]["cause"] == "out_of_memory"
    fits = fedtiny.run(tight(**{"device.memory": "1 GB"}))
    assert set(fits.attribution["critical_path"]) == {"compute", "latency"}


def test_devices_that_are_left_out_for_their_memory_are_waited_for_by_nobody(tight):
    group = tight().to_plain()["fleet"][0]
    small = {**group, "count": 1, "device": {**group["device"], "paging": None}}
    large = {**group, "count": 1, "device": {**group["device"], "memory": "1 GB", "paging": None}}
    result = fedtiny.run(tight(fleet=[small, large], on_out_of_memory="exclude"))
    assert result.devices["status"].to_pylist() == ["excluded", "trained"]
    assert set(result.rounds["bottleneck_device"].to_pylist()[1:]) == {1}
    assert result.attribution["critical_path"] == pytest.approx({"compute": 6.0, "latency": 2.0})


def test_a_smaller_last_batch_pages_less(tight):
    # 50 examples of a device in batches of 20: the third is half as large
    even = fedtiny.run(tight(**{"data.examples": 100, "training.local_steps": 2}))
    uneven = fedtiny.run(tight(**{"data.examples": 100}))
    third = (uneven.summary["virtual_time"] - even.summary["virtual_time"]) / 2
    whole = needed(tight(learning="none")) - 10_000
    assert 1.0 < third < 1.0 + whole / 20e3 + whole / 40e3
    planned = plan(tight(**{"data.examples": 100, "learning": "none"})).document
    assert planned["virtual_time"] == uneven.summary["virtual_time"]


def test_it_is_said_in_check_plan_and_report(tight):
    scenario = tight()
    words = "pages"
    checked = check(scenario)
    assert words in checked.trains[0]
    assert any("go to storage and back in every step" in warning for warning in checked.warnings)
    planned = plan(tight(learning="none"))
    assert words in class_rows(planned.document)[0]["peak_memory"]
    for result in (fedtiny.run(scenario), fedtiny.run(tight(learning="none"))):
        assert any("go to storage and back" in note for note in result.notes)
        assert words in fleet_table(result).rows[0][2]
        assert result.memory[0]["paged_bytes"] > 0


def test_without_paging_it_is_out_of_memory(tight):
    with pytest.raises(InfeasibleError, match="training needs"):
        fedtiny.run(tight(**{"device.paging": False}))


def test_what_fits_comes_before_what_pages_and_of_what_pages_the_least(tight):
    def scheme(memory, **overrides):
        result = fedtiny.run(tight(**{"device.memory": memory, "learning": "none", **overrides}))
        return set(result.devices["scheme"].to_pylist())

    assert scheme("10 kB") == {"full"}
    assert scheme("1 GB", update={"kind": "automatic"}) == {"full"}
    assert scheme("10 kB", update={"kind": "automatic"}) == {"last"}
    assert scheme("10 kB", on_out_of_memory="downgrade") == {"last"}
