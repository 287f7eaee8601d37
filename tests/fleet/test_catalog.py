import math
import re
import subprocess
import sys
from importlib.resources import files

import pytest
import yaml

from fedtiny.errors import CatalogError, InputError
from fedtiny.fleet.catalog import (
    DeviceEntry,
    Fact,
    NetworkEntry,
    device_entry,
    device_names,
    device_rows,
    facts_of,
    load_device,
    load_network,
    network_entry,
    network_names,
    network_rows,
    plain_entry,
    sources,
)
from fedtiny.fleet.facts import Source

FOLDER = files("fedtiny.fleet") / "catalog"
ENTRIES = [(device_entry, name) for name in device_names()] + [(network_entry, name) for name in network_names()]
every_entry = pytest.mark.parametrize(("entry", "name"), ENTRIES, ids=[name for _, name in ENTRIES])
every_device = pytest.mark.parametrize("name", device_names())
every_network = pytest.mark.parametrize("name", network_names())


class NoDuplicates(yaml.SafeLoader):
    pass


def _mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"duplicate key among {keys}"
    return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in node.value}


NoDuplicates.add_constructor("tag:yaml.org,2002:map", _mapping)


def test_the_catalog_is_large_enough_and_reaches_from_microcontrollers_to_gpus():
    assert len(device_names()) >= 12
    assert len(network_names()) >= 10
    assert {device_entry(name).device_class for name in device_names()} == {"microcontroller", "single_board_computer", "phone", "edge_gpu"}
    assert {"bluetooth", "cellular", "low_power_wide_area", "wifi"} == {network_entry(name).network_class for name in network_names()}


def test_the_names_that_scenarios_rely_on_exist():
    devices = "stm32f746 stm32h743 nrf52840 esp32_s3 raspberry_pi_zero_2w raspberry_pi_4 raspberry_pi_5 redmi_note_8 snapdragon_855 pixel_7"
    assert set(devices.split()) | {"jetson_nano", "jetson_orin_nano"} <= set(device_names())
    networks = "lte_driving lte_static hspa_driving 5g_nsa_low_band wifi_volunteer ble_5 lte_m nb_iot"
    assert set(networks.split()) <= set(network_names())


@every_entry
def test_every_number_has_evidence_known_sources_and_a_note(entry, name):
    facts = facts_of(entry(name))
    assert len(facts) >= 3
    for place, fact in facts.items():
        assert fact.evidence in {"M", "D", "V", "E"}, place
        assert set(fact.sources) <= set(sources()), place
        assert len(fact.sources) == len(set(fact.sources)), place
        assert len(fact.note.split()) >= 1, place
        assert fact.note.endswith("."), place


@every_entry
def test_no_number_stands_outside_a_fact(entry, name):
    folder = "devices" if entry is device_entry else "networks"
    text = (FOLDER / folder / f"{name}.yaml").read_text(encoding="utf-8")
    plain = yaml.load(text, NoDuplicates)
    described = {"name", "title", "description", "device_class", "network_class"}

    def values(node):
        if "value" in node:
            assert set(node) == {"value", "evidence", "sources", "note"}
            return [node["value"]]
        return [value for inner in node.values() for value in values(inner)]

    stated = values({key: value for key, value in plain.items() if key not in described})
    assert sorted(map(str, stated)) == sorted(str(fact.value) for fact in facts_of(entry(name)).values())


@every_entry
def test_the_file_has_the_name_of_what_it_holds(entry, name):
    assert entry(name).name == name
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert isinstance(yaml.safe_load(name), str), "a bare name in YAML must be a text"


def test_every_source_is_used_and_cited_with_more_than_a_name():
    used = {key for entry, name in ENTRIES for fact in facts_of(entry(name)).values() for key in fact.sources}
    assert used == set(sources())
    assert all(len(source.citation) > 30 and source.url.startswith("https://") for source in sources().values())
    assert list(sources()) == sorted(sources())


@pytest.mark.parametrize("key", sources())
def test_a_source_says_whose_work_it_is_which_and_where_to_look_it_up(key):
    """An author or a project, and behind a colon or a comma what of it; not an address alone."""
    source = sources()[key]
    author, _, work = re.sub(r"\b([A-Z])\. ", r"\1 ", source.citation).partition(": " if ": " in source.citation else ", ")
    assert len(author.split()) >= 1
    assert len(work.split()) >= 3, source.citation
    assert "http" not in source.citation
    assert not re.search(r"personal communication|from memory|unpublished|not opened", source.citation, re.IGNORECASE)


@pytest.mark.parametrize(
    "url", [None, "", "flash", "http://example.org/a", "https://nowhere", "https://example.org/", "https://example.org/a b"]
)
def test_a_source_that_nobody_can_look_up_is_refused(url):
    good = {"citation": "A. Author: A title, 2020.", "url": "https://example.org/title"}
    Source.model_validate(good)
    with pytest.raises(ValueError, match="url"):
        Source.model_validate({**good, "url": url})


@pytest.mark.parametrize("missing", ["citation", "url"])
def test_a_source_must_be_cited_and_have_an_address(missing):
    good = {"citation": "A. Author: A title, 2020.", "url": "https://example.org/title"}
    with pytest.raises(ValueError, match=missing):
        Source.model_validate({key: value for key, value in good.items() if key != missing})


def test_a_number_without_a_source_cannot_be_read_from_a_file():
    plain = yaml.safe_load((FOLDER / "devices" / "rp2040.yaml").read_text(encoding="utf-8"))
    DeviceEntry.model_validate(plain)
    for place in ("memory", "memory_bandwidth"):
        for number in ("200 kB", {"value": "200 kB"}, {**plain[place], "sources": []}, {**plain[place], "evidence": "U"}):
            with pytest.raises(ValueError, match=place):
                DeviceEntry.model_validate({**plain, place: number})


def test_a_fact_cannot_be_from_memory_or_without_a_source_or_a_note():
    good = {"value": "1 s", "evidence": "M", "sources": ["flash"], "note": "Measured."}
    Fact.model_validate(good)
    for bad in ({"evidence": "U"}, {"sources": []}, {"note": ""}, {"value": ""}, {"value": None}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Fact.model_validate({**good, **bad})


@every_device
def test_a_device_is_priced_completely_and_plausibly(name):
    profile = load_device(name)
    assert profile.name == name
    assert 50e3 <= profile.memory <= 64e9
    rates = profile.rates
    assert profile.step_time is None
    assert all(1e4 <= rate <= 1e12 for rate in (rates.dense_gemm, rates.dense_convolution, rates.depthwise, rates.recurrent))
    assert rates.depthwise <= rates.dense_convolution
    assert rates.recurrent <= rates.dense_gemm
    assert profile.power is not None
    assert 0 < profile.power.idle < profile.power.active <= 30
    assert profile.memory_bandwidth is None or 1e8 <= profile.memory_bandwidth <= 1e12


def test_classes_of_devices_are_ordered_by_memory_and_power():
    by_class = {}
    for name in device_names():
        by_class.setdefault(device_entry(name).device_class, []).append(load_device(name))
    small = by_class["microcontroller"]
    for other in ("single_board_computer", "phone", "edge_gpu"):
        assert max(one.memory for one in small) < min(one.memory for one in by_class[other])
        assert max(one.power.active for one in small) < min(one.power.active for one in by_class[other])


@every_network
def test_a_network_is_stated_completely_and_plausibly(name):
    profile = load_network(name)
    assert profile.name == name
    assert 1e-3 <= profile.latency <= 10
    assert (0.1 if profile.lora else 1) <= profile.uplink <= profile.downlink * 1.3 or name == "nb_iot"
    assert profile.downlink <= 1e9
    assert 0 <= profile.loss < 0.2
    assert profile.jitter <= profile.latency
    for energy in (profile.energy_down, profile.energy_up):
        assert energy is None or 1e-9 <= energy <= (1e-2 if profile.lora else 1e-3)
    assert all(sigma <= 2 for sigma in (profile.latency_sigma, profile.downlink_sigma, profile.uplink_sigma))


ROUND_TRIPS = {
    "lte_static": 89,
    "lte_driving": 84,
    "hspa_driving": 123,
    "5g_nsa_low_band": 58,
    "5g_sa_low_band": 62,
    "5g_mmwave": 52,
    "5g_nsa_mid_band_static": 72,
    "5g_nsa_mid_band_driving": 72,
}


@pytest.mark.parametrize(("name", "milliseconds"), ROUND_TRIPS.items())
def test_a_published_round_trip_is_halved_and_says_so(name, milliseconds):
    assert load_network(name).latency == pytest.approx(milliseconds / 2 / 1000)
    fact = network_entry(name).latency
    assert fact.evidence == "D"
    assert "half" in fact.note.lower()
    assert str(milliseconds) in fact.note


@every_network
def test_equal_rates_of_both_directions_are_published_or_one_of_them_is_called_an_estimate(name):
    entry = network_entry(name)
    if entry.uplink.value == entry.downlink.value:
        evidence = {entry.uplink.evidence, entry.downlink.evidence}
        assert "E" in evidence or evidence <= {"M", "V"}


@every_network
def test_an_estimated_rate_says_that_it_was_not_published_or_whose_assumption_it_is(name):
    for fact in (network_entry(name).uplink, network_entry(name).downlink):
        if fact.evidence == "E":
            assert "Not published" in fact.note or "assumption" in fact.note


@pytest.mark.parametrize(("name", "round_trip_loss"), [("lte_driving", 0.028), ("hspa_driving", 0.13), ("5g_nsa_mid_band_static", 0.016)])
def test_losses_of_pings_are_split_over_both_ways(name, round_trip_loss):
    loss = load_network(name).loss
    assert 1 - (1 - loss) ** 2 == pytest.approx(round_trip_loss, rel=0.02)


def test_jitter_of_pings_is_split_over_both_ways():
    assert load_network("lte_driving").jitter * math.sqrt(2) == pytest.approx(4e-3, rel=0.02)


def test_energy_per_byte_is_eight_times_the_published_energy_per_bit():
    static = load_network("lte_static")
    assert static.energy_down == pytest.approx(8 * 11.5e-9)
    assert static.energy_up == pytest.approx(8 * 76.7e-9, rel=1e-3)


def test_bluetooth_energy_follows_from_current_voltage_and_throughput():
    radio = load_network("ble_5")
    assert radio.energy_up == pytest.approx(4.8e-3 * 3 / 1.363e6 * 8, rel=0.01)
    assert radio.energy_down == pytest.approx(4.6e-3 * 3 / 1.363e6 * 8, rel=0.01)


# Published seconds of a training step per image at 224x224, and multiply-accumulates of the forward pass: dense, depthwise.
MOBILENET_V2 = (280.06e6, 20.72e6)
STEPS = [
    ("snapdragon_855", 4.67 / 16, MOBILENET_V2, 0.02),
    ("snapdragon_855", 2.704 / 16, (0.82e9, 0), 0.02),
    ("redmi_note_8", 0.588 / 10, (17.2e6, 0), 0.02),
    ("galaxy_note_10", 0.179 / 10, (17.2e6, 0), 0.02),
    ("nexus_6", 1.642 / 10, (17.2e6, 0), 0.02),
    ("jetson_nano", 7.5 * 60 / 5000, (1.8e9, 0), 0.02),
    ("jetson_nano", 15 * 60 / 10475, (1.8e9, 0), 0.06),
]


@pytest.mark.parametrize(("name", "seconds", "macs", "tolerance"), STEPS)
def test_the_rates_predict_the_published_training_steps(name, seconds, macs, tolerance):
    rates = load_device(name).rates
    dense, depthwise = macs
    assert 3 * dense / rates.dense_convolution + 3 * depthwise / rates.depthwise == pytest.approx(seconds, rel=tolerance)


def test_siblings_of_the_stm32f746_scale_with_their_clocks():
    base = load_device("stm32f746").rates.dense_convolution
    assert base == 60e6
    for name, clock in (("stm32h743", 480), ("stm32h7a3", 280)):
        assert load_device(name).rates.dense_convolution == pytest.approx(base * clock / 216, rel=0.01)


def test_the_budget_of_the_stm32f746_is_that_of_the_paper():
    assert load_device("stm32f746").memory == 256_000


@pytest.mark.parametrize("load", [load_device, load_network, device_entry, network_entry])
def test_an_unknown_name_is_an_input_error_with_the_remedy(load):
    with pytest.raises(CatalogError, match=r"`fedtiny catalog (devices|networks)` lists all") as caught:
        load("raspberry_pi_400" if "device" in load.__name__ else "lte_drivin")
    assert ("'raspberry_pi_4'" if "device" in load.__name__ else "'lte_driving'") in str(caught.value)
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize("name", ["../sources", "", "raspberry_pi_4.yaml", "/etc/passwd", "Raspberry_Pi_4", "qqqqqqqq"])
def test_only_names_of_the_register_are_read(name):
    with pytest.raises(CatalogError):
        load_device(name)


def test_an_entry_is_read_once():
    assert device_entry("pixel_7") is device_entry("pixel_7")
    assert load_network("nb_iot") is load_network("nb_iot")


@every_entry
def test_a_plain_entry_cites_exactly_what_it_uses_and_reads_back(entry, name):
    plain = plain_entry(entry(name))
    used = {key for fact in facts_of(entry(name)).values() for key in fact.sources}
    assert set(plain["sources"]) == used
    assert all(source["citation"] for source in plain["sources"].values())
    kind = DeviceEntry if entry is device_entry else NetworkEntry
    assert kind.model_validate({key: value for key, value in plain.items() if key != "sources"}) == entry(name)


def test_a_plain_entry_keeps_the_numbers_as_the_file_writes_them():
    plain = plain_entry(device_entry("stm32f746"))
    assert plain["memory"]["value"] == "256 kB"
    assert plain["rates"]["depthwise"]["value"] == "60 MMAC/s"
    assert "memory_bandwidth" not in plain_entry(device_entry("pixel_7"))


@pytest.mark.parametrize(("rows", "names"), [(device_rows, device_names), (network_rows, network_names)])
def test_the_rows_of_a_table_have_the_same_columns_and_all_names(rows, names):
    assert [row["name"] for row in rows()] == names()
    assert len({tuple(row) for row in rows()}) == 1
    assert all(isinstance(value, str) for row in rows() for value in row.values())


def test_a_row_shows_value_and_evidence():
    row = next(row for row in device_rows() if row["name"] == "stm32f746")
    assert (row["memory"], row["depthwise"], row["class"]) == ("256 kB (M)", "60 MMAC/s (D)", "microcontroller")


def test_importing_the_catalog_opens_no_file_of_it():
    code = """
import sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
import fedtiny.fleet.fleet
assert not [path for path in opened if path.endswith(".yaml")]
assert "torch" not in sys.modules
fedtiny.fleet.fleet.load_device("pixel_7")
assert len([path for path in opened if path.endswith(".yaml")]) == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_number_of_a_profile_can_be_a_fact():
    fact = {"evidence": "M", "sources": ["flash"], "note": "Measured."}
    plain = {key: value for key, value in plain_entry(device_entry("jetson_nano")).items() if key != "sources"}
    more = {
        "dispatch_overhead": {"value": "20 ms", **fact},
        "group_overhead": {"value": "2 ms", **fact},
        "backward_factor": {"depthwise": {"value": 1.5, **fact}},
        "throttling": {"after": {"value": "5 min", **fact}, "factor": {"value": 0.7, **fact}},
        "paging": {"read": {"value": "40 MB/s", **fact}, "write": {"value": "20 MB/s", **fact}},
        "rates": {**plain["rates"], "attention": {"value": "1 GMAC/s", **fact}},
    }
    entry = DeviceEntry.model_validate({**plain, **more})
    profile = entry.profile()
    assert (profile.dispatch_overhead, profile.backward_factor.depthwise, profile.throttling.after) == (20e-3, 1.5, 300.0)
    assert (profile.paging.read, profile.paging.write, profile.paging.power, profile.rates.attention) == (40e6, 20e6, None, 1e9)
    assert {"dispatch_overhead", "backward_factor.depthwise", "throttling.factor", "paging.write", "rates.attention"} <= set(
        facts_of(entry)
    )
