"""Every published quantile of a network is what its devices or transfers have at that rank."""

import csv
from pathlib import Path

import pytest

from fedtiny.fleet.catalog import load_network, network_names, sources
from fedtiny.fleet.spread import NORMAL
from fedtiny.units import DATA_RATE, TIME

DATA = Path(__file__).parents[2] / "benchmarks" / "validation" / "data" / "networks.csv"
with DATA.open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['network']}-{row['quantity']}-p{row['quantile']}")
def test_a_published_quantile_is_the_one_that_is_drawn(row):
    profile, score = load_network(row["network"]), NORMAL.inv_cdf(float(row["quantile"]) / 100)
    value = (profile.between if row["varies"] == "devices" else profile.in_transfer)(row["quantity"], score)
    assert value == pytest.approx(float(row["value"]) * {**TIME, **DATA_RATE}[row["unit"]], rel=0.005)
    assert row["source"] in sources()


def test_the_median_of_every_network_that_spreads_is_among_them():
    known = {(row["network"], row["quantity"]) for row in ROWS if row["quantile"] == "50"}
    spread = {
        (name, key)
        for name in network_names()
        for key in ("latency", "downlink", "uplink")
        if getattr(load_network(name), f"{key}_sigma") or getattr(load_network(name), f"{key}_quantiles")
    }
    estimates = {(name, "uplink") for name, _ in spread} | {("wifi_campus", "downlink"), ("5g_nsa_mid_band_driving", "latency")}
    assert spread - known <= estimates
