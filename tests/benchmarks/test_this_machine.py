"""The part of the validation page that is about the machine it is made on, with made-up times."""

import importlib
import sys
from pathlib import Path

import pytest

from fedtiny.calibration.timing import Timing

FOLDER = Path(__file__).parents[2] / "benchmarks" / "validation"
FILES = {file.stem for file in FOLDER.glob("*.py")}


@pytest.fixture(scope="module")
def validation():
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))
    for name in (set(sys.modules) - before) & FILES:
        del sys.modules[name]


@pytest.fixture(scope="module")
def found(validation):
    return list(validation("this_machine").cases())


@pytest.fixture(scope="module")
def calibration():
    from fedtiny.calibration.calibrate import Calibration, Measured
    from fedtiny.calibration.machine import Machine
    from fedtiny.calibration.probes import NETWORKS, probes
    from fedtiny.calibration.speed import CLASSES

    factors = dict.fromkeys(CLASSES, 1.0)
    speed = {"rates": dict.fromkeys(CLASSES, 1e10), "backward_factor": factors, "weight_factor": factors, "memory_bandwidth": 1e10}
    speed |= dict.fromkeys(("dispatch_overhead", "convolution_overhead", "group_overhead"), 1e-6)
    (probe, *_) = probes(NETWORKS[:1])
    return Calibration(Machine("P", 1, 10**9, "", "torch", 1), speed, [Measured(probe, Timing(1.0, 0.0, 3), 1.0)], 1, 1.0)


def test_five_networks_in_four_schemes_with_three_batches_are_held_against_their_predictions(validation, found, calibration):
    rows = validation("this_machine").rows_of(found, [Timing(1.0, 0.0, 3)] * len(found), calibration)
    carriers = [case for case in found if case.group == found[0].group]
    assert len({(case.model, case.plan.scheme, case.batch_size) for case in carriers}) == 60
    assert {case.plan.scheme for case in carriers} == {"full", "tinytl", "bias", "last"}
    assert validation("this_machine").check_of(rows).claim.startswith("this machine, 60 steps")
    assert all(row.measured == 0.5 for row in rows)


def test_every_case_takes_real_steps(found):
    weights = found[0].train()[0]
    assert weights.shape == (found[0].plan.trainable_elements(found[0].summary),)


def test_the_part_is_put_before_the_sources_replaced_and_kept(validation, found, calibration):
    page, machine = validation("page"), validation("this_machine")
    rows = machine.rows_of(found, [Timing(0.02, 0.0, 3)] * len(found), calibration)
    part = machine.part(rows, calibration)
    assert part.count("batch 16 |") >= len(found) // 3
    empty = "# Title\n\ntext\n\n## Sources\n\n- one\n"
    once = page.with_part(empty, part)
    assert once.index("text") < once.index("## This machine") < once.index("## Sources")
    assert page.with_part(once, part) == once
    assert "second" in (twice := page.with_part(once, "second"))
    assert "## This machine" not in twice
    assert page.with_part(empty, page._part_of(once)) == once
    assert page.with_part(empty, "") == empty


def test_the_figure_shows_all_rows(validation, found, calibration):
    machine = validation("this_machine")
    rows = machine.rows_of(found, [Timing(0.02, 0.0, 3)] * len(found), calibration)
    assert machine.figure(rows).startswith(b"\x89PNG")
