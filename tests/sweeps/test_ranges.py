import math
from itertools import pairwise

import pytest

from fedtiny.errors import ScenarioError
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
from fedtiny.sweeps.ranges import expanded
from fedtiny.units import TIME, parse_quantity


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 ms..5 s:7:log", ["1 ms", "4.14 ms", "17.1 ms", "70.7 ms", "292 ms", "1.21 s", "5 s"]),
        ("1ms..5s:2:log", ["1 ms", "5 s"]),
        ("0 ms..100 ms:3", ["0 ms", "50 ms", "100 ms"]),
        ("1 s..250 ms:4:linear", ["1 s", "750 ms", "500 ms", "250 ms"]),
        ("64 kB..1 MB:3:log", ["64 kB", "253 kB", "1 MB"]),
        ("1 Mbit/s..100 Mbit/s:3:log", ["1 Mbit/s", "10 Mbit/s", "100 Mbit/s"]),
        ("1..64:7:log", [1, 2, 4, 8, 16, 32, 64]),
        ("1..10:4", [1, 4, 7, 10]),
        ("0.001..0.1:3:log", [0.001, 0.01, 0.1]),
        ("1e-3..1.0:4:log", [0.001, 0.01, 0.1, 1.0]),
        ("1000.0..1001.0:3", [1000.0, 1000.5, 1001.0]),
        ("-1.0..1.0:3", [-1.0, 0.0, 1.0]),
    ],
)
def test_a_range_stands_for_its_values(text, values):
    assert expanded(text, "here") == values


@pytest.mark.parametrize("value", ["100 ms", "../data", "a..b:3", "1..", 3, {"kind": "tinytl"}, [1, 2], None, "dirichlet..iid:2:log"])
def test_what_is_no_range_is_itself(value):
    assert expanded(value, "here") == [value]


def test_logarithmic_values_are_equally_often_as_large_to_three_digits():
    seconds = [parse_quantity(text, TIME, "1 s") for text in expanded("1 ms..5 s:11:log", "here")]
    steps = [math.log(after / before) for before, after in pairwise(seconds)]
    assert steps == pytest.approx([math.log(5000) / 10] * 10, rel=0.01)
    assert (seconds[0], seconds[-1]) == (0.001, 5.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 ms..5 s:7:log", r"above 0: name 0 beside it, such as 0 ms,1 ms\.\.5 s:7:log"),
        ("1..5 s:7:log", "unit of the same kind"),
        ("1 kB..5 s:7", "unit of the same kind"),
        ("1 ms..5 s:1:log", "2 to 1000 values"),
        ("1 ms..5 s:9999:log", "2 to 1000 values"),
        ("5 s..5 s:3", "two different ends"),
        ("1 ms..5 s:7:lgo", "linear or log, found 'lgo'"),
        ("1..3:7:log", "not so many whole numbers"),
    ],
)
def test_a_range_that_is_none_is_refused_with_its_place(text, message):
    with pytest.raises(ScenarioError, match=rf"here: .*{message}"):
        expanded(text, "here")


def test_axes_of_the_command_line_and_the_file_take_ranges_beside_values(tiny, tmp_path):
    base, found = split_sweep(read_tree(tiny("sweep:\n  training.batch_size: 1..4:3:log\n  training.local_steps: [1..2:2, 5]\n")))
    sweep = cross(base, tmp_path, [*found, parse_axis("network.latency=0 ms,1ms..5s:2:log")])
    assert [axis.labels for axis in sweep.axes] == [("1", "2", "4"), ("1", "2", "5"), ("0 ms", "1 ms", "5 s")]
    assert {cell.scenario.network.latency for cell in sweep.cells} == {0.0, 0.001, 5.0}
    assert len(sweep.cells) == 27


def test_a_range_in_a_file_that_is_none_is_refused_with_its_line(tiny):
    with pytest.raises(ScenarioError, match=r"tiny\.yaml:10: 0\.\.4:3:log: a logarithmic range lies above 0"):
        split_sweep(read_tree(tiny("sweep:\n  training.batch_size: 0..4:3:log\n")))
