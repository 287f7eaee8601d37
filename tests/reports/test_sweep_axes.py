from dataclasses import replace

import pytest

from fedtiny.reports.sweep_axes import Layout, layout, numeric_value, ordered_values, panels, value_label


def test_a_size_goes_up_and_the_other_axis_across(make_sweep):
    sweep, _ = make_sweep((0,))
    assert layout(sweep) == Layout("network.latency", "device.memory", ())
    turned = replace(sweep, axes=dict(reversed(sweep.axes.items())))
    assert layout(turned) == Layout("network.latency", "device.memory", ())


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({}, None),
        ({"update": ("full",)}, Layout("update", None, ())),
        ({"update": ("full",), "strategy.delay": ("1", "5")}, Layout("strategy.delay", "update", ())),
        ({"update": ("full",), "seed": ("1",), "device.memory": ("1 kB",)}, Layout("seed", "device.memory", ("update",))),
    ],
)
def test_numbers_come_before_names(make_sweep, axes, expected):
    sweep, _ = make_sweep((0,))
    assert layout(replace(sweep, axes=axes)) == expected


def test_quantities_stand_in_ascending_order_and_names_as_written(make_sweep):
    sweep, _ = make_sweep((0,))
    mixed = replace(sweep, axes={"network.latency": ("1 s", "0 ms", "20 ms"), "update": ("tinytl", "full")})
    assert ordered_values(mixed, "network.latency") == ["0 ms", "20 ms", "1 s"]
    assert ordered_values(mixed, "update") == ["tinytl", "full"]


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5.0), ("-1e3", -1000.0), ("2 kB", 2000.0), ("8 Mbit/s", 1e6), ("unlimited", float("inf")), ("full", None)]
)
def test_numbers_are_told_from_names(text, value):
    assert numeric_value(text) == value


@pytest.mark.parametrize(
    ("text", "label"),
    [("{kind: full}", "full"), ("{kind: dga, delay: 5}", "dga, delay 5"), ("20 ms", "20 ms"), ("[1, 2]", "[1, 2]"), ("{", "{")],
)
def test_whole_parts_are_written_in_words(text, label):
    assert value_label(text) == label


def test_panels_part_the_combinations_in_order(make_sweep):
    sweep, _ = make_sweep((0,))
    parts = panels(sweep, ("device.memory",))
    assert [title for title, _ in parts] == ["device.memory 256 kB", "device.memory 2 MB", "device.memory 8 MB"]
    assert [cell.values[0] for cell in parts[1][1]] == ["20 ms", "100 ms", "500 ms", "2 s"]
    assert [title for title, _ in panels(sweep, ())] == [""]
