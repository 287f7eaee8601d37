import re

from fedtiny.fleet.catalog import sources
from fedtiny.scenario.citations import _WORKS, citations_of
from fedtiny.scenario.schema import Scenario

CUSTOM = {"device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s"}, "network": {"kind": "custom", "latency": "0 s"}}
PLAIN = {"name": "x", "model": {"kind": "linear"}, "data": {"kind": "synthetic"}, "strategy": {"kind": "fedavg"}, "stop": {"rounds": 1}}


def cited(fleet):
    drawn = {"data": {"kind": "synthetic", "partition": {"kind": "with_replacement", "examples": 100}}} if isinstance(fleet, dict) else {}
    return citations_of(Scenario.model_validate({**PLAIN, **drawn, "fleet": fleet}))


def test_the_sources_of_a_device_and_a_network_are_cited_with_what_for():
    found = {work["key"]: work for work in cited([{"count": 2, "device": "raspberry_pi_4", "network": "lte_static"}])}
    assert found["sbc_bench"]["why"] == "numbers of device raspberry_pi_4"
    assert any("network lte_static" in work["why"] for work in found.values())
    assert sources()["sbc_bench"].url in found["sbc_bench"]["bibtex"]


def test_members_of_a_mix_are_cited_as_groups_are():
    found = cited({"kind": "population", "count": 5, "members": [{"share": 1, "device": "pixel_7", "network": "lte_static"}]})
    assert any("device pixel_7" in work["why"] for work in found)
    assert any("device" in work["why"] for work in cited({"kind": "population", "count": 5, "mix": "flash_phones"}))


def test_a_device_of_ones_own_has_no_source():
    assert not any("numbers of" in work["why"] for work in cited([{"count": 1, **CUSTOM}]))


def test_every_entry_is_bibtex_with_a_key_of_its_own():
    fleet = [{"count": 1, "device": "raspberry_pi_4", "network": "lte_driving"}, {"count": 1, "device": "stm32f746", "network": "lte_m"}]
    found = cited(fleet)
    assert len({work["key"] for work in found}) == len(found)
    assert not set(sources()) & set(_WORKS)
    for work in found:
        entry = work["bibtex"]
        assert re.match(r"@[a-z]+\{" + work["key"] + ",", entry)
        assert entry.count("{") == entry.count("}")
        titles = re.findall(r"title=\{\{(.*)\}\}, howpublished", entry)
        assert not any(re.search(r"(?<!\\)[&%$#_]", title) for title in titles)
