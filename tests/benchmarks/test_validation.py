"""Predicted against measured: the fast part of `make validate`, with the thresholds that its page claims."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from fedtiny.costs.compute import step_seconds
from fedtiny.fleet.catalog import load_device

FOLDER = Path(__file__).parents[2] / "benchmarks" / "validation"
FILES = {file.stem for file in FOLDER.glob("*.py")}


@pytest.fixture(scope="module")
def validation():
    """Gives a file of benchmarks/validation as a module; they import each other by their bare names."""
    before = set(sys.modules)
    assert not before & FILES
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))
    for name in (set(sys.modules) - before) & FILES:
        del sys.modules[name]


def test_what_is_fitted_is_what_the_simulation_charges(validation):
    fitting, networks = validation("speed_fit"), validation("layers").known_networks()
    logarithms = fitting.STARTS + 0.3
    device = fitting.profile_of(logarithms)
    for name in ("mobilenetv3_small_100", "vit_tiny", "efficientvit_b0"):
        for plan_of in (fitting.full, fitting.head_only):
            plan = plan_of(networks[name])
            walked = fitting.Walked.of(networks[name], plan, 16).seconds(logarithms)
            assert walked == pytest.approx(step_seconds(networks[name], plan, 16, device), rel=1e-9)


def test_frozen_layer_counts_have_the_multiply_accumulates_and_parameters_that_were_published(validation):
    networks = validation("layers").known_networks()
    # timm's own counts, in millions of parameters and GMACs
    for name, parameters, macs in (("resnet18", 11.69, 1.81), ("mobilenetv2_100", 3.50, 0.30), ("deit_base", 86.57, 17.56)):
        assert networks[name].parameter_elements / 1e6 == pytest.approx(parameters, abs=0.01)
        assert networks[name].forward_macs / 1e9 == pytest.approx(macs, abs=0.01)


def test_pi_4_steps_of_networks_that_were_not_fitted_are_predicted_from_columns_within_30_percent(validation):
    pi = validation("raspberry_pi_4")
    assert np.median(pi.from_columns(with_head_only=False)) <= 0.30
    assert np.median(pi.from_columns(with_head_only=True)) <= 0.15


def test_pi_4_steps_of_networks_that_were_not_fitted_are_predicted_from_layers_within_25_percent(validation):
    assert np.median(validation("raspberry_pi_4").from_layers(20)) <= 0.15


def test_the_shipped_pi_4_is_the_fit_to_all_rows_with_the_error_it_states(validation):
    pi, device = validation("raspberry_pi_4"), load_device("raspberry_pi_4")
    fitted = pi.fitted()
    for name in ("dense_gemm", "dense_convolution", "pointwise_convolution", "depthwise", "grouped_convolution", "attention"):
        assert getattr(device.rates, name) == pytest.approx(fitted[name], rel=0.01)
    assert device.memory_bandwidth == pytest.approx(fitted["memory_bandwidth"], rel=0.01)
    assert device.group_overhead == pytest.approx(fitted["group_overhead"], rel=0.01)
    assert device.dispatch_overhead == validation("speed_fit").DISPATCH
    assert device.backward_factor.pointwise_convolution == pytest.approx(fitted["backward_of_pointwise"], rel=0.01)
    rows = pi.shipped()
    for group, most in (("Raspberry Pi 4, full", 0.055), ("Raspberry Pi 4, head only", 0.075)):
        assert validation("rows").median_error([row for row in rows if row.group == group]) <= most


def test_a_pi_5_is_a_pi_4_by_one_factor_within_20_percent(validation):
    pi = validation("raspberry_pi_5")
    assert pi.factor() == pytest.approx(pi.FACTOR, rel=0.005)
    assert all(check.met for check in pi.section().checks)
    four, five = load_device("raspberry_pi_4"), load_device("raspberry_pi_5")
    for name in type(four.rates).model_fields:
        assert getattr(five.rates, name) == pytest.approx(pi.FACTOR * getattr(four.rates, name), rel=0.01)
    for name in ("dispatch_overhead", "group_overhead"):
        assert getattr(five, name) == pytest.approx(getattr(four, name) / pi.FACTOR, rel=0.01)


def test_sparse_steps_of_an_stm32f746_are_predicted_within_20_percent_at_one_rate(validation):
    section = validation("microcontrollers").sparse_steps()
    assert len(section.checks) == 3
    assert all(check.met for check in section.checks)
    # whichever of the five published schemes of a network was timed, the step is predicted within a quarter
    assert all(abs(row.error) < 0.25 for row in section.rows if row.unit == "s")


def test_multiply_accumulates_of_mlperf_tiny_are_those_of_the_reference_networks(validation):
    benchmarks = validation("microcontrollers").BENCHMARKS
    published = {"ad": 0.264e6, "kws": 2.657e6, "vww": 7.49e6}
    assert {name: sum(benchmarks[name].values()) for name in published} == pytest.approx(published, rel=0.01)


def test_two_powers_give_the_joules_of_training_in_memory_and_beyond_it_within_10_percent(validation):
    section = validation("boards").tinytrain()
    assert max(abs(row.error) for row in section.rows if row.unit == "J") < 0.10
    (ratio,) = [row for row in section.rows if not row.unit]
    # full training that pages takes many times as long as the last layer, measured 11, and more than its multiply-accumulates say
    assert 5 < ratio.predicted < ratio.measured


def test_the_second_epoch_of_a_jetson_nano_follows_from_the_first(validation):
    section = validation("boards").jetson_nano()
    assert all(abs(row.error) < 0.10 for row in section.rows)


def test_phones_recompute_from_the_rates_of_single_layers_with_the_errors_that_the_page_lists(validation):
    rows = {(row.device, row.what): row for row in validation("phones").in_dl4j().rows}
    for what in ("shakespeare, batch 100", "reddit, batch 10"):
        assert abs(rows["nexus_6", what].error) < 0.10
    assert abs(rows["galaxy_note_10", "shakespeare, batch 100"].error) < 0.10
    assert rows["redmi_note_8", "reddit, batch 10"].error > 1


def test_the_page_lists_every_row_and_calls_what_was_fitted_no_prediction(validation, tmp_path):
    page, sections = validation("page"), [validation("raspberry_pi_5").section(), validation("boards").tinytrain()]
    (tmp_path / "figures").mkdir()
    page.write(sections, tmp_path)
    text = (tmp_path / "validation.md").read_text()
    for row in (row for section in sections for row in section.rows):
        (line,) = [
            line
            for line in text.split("## What is missed")[1].splitlines()
            if f"| {row.what} |" in line and row.source in line and f"{row.error:+.1%}" in line
        ]
        assert line.rstrip(" |").split("|")[-1].strip().startswith("yes" if row.counted else "no")
    assert (tmp_path / "figures" / "validation.png").stat().st_size > 10_000
