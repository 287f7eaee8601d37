import pytest

from fedtiny.errors import ScenarioError
from fedtiny.scenario.files import load_scenario, read_tree
from fedtiny.sweeps.axes import MOST_CELLS, cross, label, parse_axis, split_sweep

SWEEP = "sweep:\n  network.latency: [0 ms, 100 ms]\n  strategy:\n    - fedavg\n    - {kind: dga, delay: 2}\n"


def crossed(path, *axes, seeds=1):
    base, found = split_sweep(read_tree(path))
    return cross(base, path.parent, [*found, *map(parse_axis, axes)], seeds)


def error(path, *axes, seeds=1):
    with pytest.raises(ScenarioError) as caught:
        crossed(path, *axes, seeds=seeds)
    return str(caught.value)


def test_axes_are_crossed_in_their_order_and_every_cell_is_a_scenario(tiny):
    sweep = crossed(tiny(SWEEP))
    assert [cell.labels for cell in sweep.cells] == [
        {"network.latency": "0 ms", "strategy": "fedavg"},
        {"network.latency": "0 ms", "strategy": "{kind: dga, delay: 2}"},
        {"network.latency": "100 ms", "strategy": "fedavg"},
        {"network.latency": "100 ms", "strategy": "{kind: dga, delay: 2}"},
    ]
    assert [(cell.scenario.network.latency, cell.scenario.strategy.kind) for cell in sweep.cells] == [
        (0.0, "fedavg"),
        (0.0, "dga"),
        (0.1, "fedavg"),
        (0.1, "dga"),
    ]
    assert all(cell.scenario.sweep is None for cell in sweep.cells)
    assert sweep.name == "tiny"


def test_seeds_are_paired_and_count_from_the_scenarios(tiny):
    sweep = crossed(tiny("seed: 5\n"), "update=full,last", seeds=3)
    assert [(cell.labels["update"], cell.scenario.seed) for cell in sweep.cells] == [(u, s) for u in ("full", "last") for s in (5, 6, 7)]
    assert sweep.seeds == (5, 6, 7)


def test_without_axes_a_sweep_is_its_seeds(tiny):
    assert [cell.scenario.seed for cell in crossed(tiny(), seeds=2).cells] == [0, 1]


def test_an_axis_of_the_command_line_takes_the_place_of_the_files(tiny):
    sweep = crossed(tiny("sweep: {update: [full, last]}\n"), "update=bias")
    assert [cell.labels for cell in sweep.cells] == [{"update": "bias"}]


ZIPPED = "sweep:\n  update, training.batch_size: [[full, 2], [{kind: last}, 4]]\n"


def test_the_keys_of_a_zipped_axis_change_together(tiny):
    cells = crossed(tiny(ZIPPED), "network.latency=0 ms,1 s").cells
    assert [(cell.scenario.update.kind, cell.scenario.training.batch_size, cell.scenario.network.latency) for cell in cells] == [
        ("full", 2, 0.0),
        ("full", 2, 1.0),
        ("last", 4, 0.0),
        ("last", 4, 1.0),
    ]
    assert [cell.labels["update, training.batch_size"] for cell in cells[::2]] == ["full, 2", "last, 4"]


def test_a_zipped_axis_can_be_said_on_the_command_line(tiny):
    (first, second) = crossed(tiny(), "update,training.batch_size=[full,2],[last,4]").cells
    assert (first.scenario.update.kind, second.scenario.training.batch_size) == ("full", 4)


@pytest.mark.parametrize("value", ["full", "[full]", "[full, 2, 3]"])
def test_a_zipped_value_says_something_for_every_key(tiny, value):
    path = tiny(f"sweep:\n  update, training.batch_size:\n    - {value}\n")
    assert error(path).startswith(f"{path}:")
    assert "the axis has 2 keys, so each value is a list of as many" in error(path)


def test_braces_may_hold_commas(tiny):
    assert parse_axis("strategy=fedavg,{kind: dga, delay: 2}").values == ("fedavg", {"kind": "dga", "delay": 2})
    assert parse_axis("network.latency=0 ms, 100 ms ,1 s").values == ("0 ms", "100 ms", "1 s")


def test_the_id_of_a_cell_is_that_of_its_scenario_in_whatever_sweep(tiny):
    path = tiny(SWEEP)
    first = crossed(path)
    other = crossed(path, "network.latency=100 ms,7 ms", "training.local_steps=1", seeds=2)
    same = [cell.id for cell in first.cells if cell.labels["network.latency"] == "100 ms"]
    assert set(same) < {cell.id for cell in other.cells}
    assert len({cell.id for cell in other.cells}) == 8


def test_the_scenario_of_a_sweep_holds_its_axes(tiny, tmp_path):
    (tmp_path / "again.yaml").write_text(crossed(tiny(SWEEP), "training.local_steps=1,2").scenario_yaml)
    again = load_scenario(tmp_path / "again.yaml")
    assert list(again.sweep) == ["network.latency", "strategy", "training.local_steps"]
    assert [cell.id for cell in crossed(tmp_path / "again.yaml").cells] == [
        cell.id for cell in crossed(tiny(SWEEP), "training.local_steps=1,2").cells
    ]


def test_the_target_is_that_of_all_cells_or_none(tiny):
    assert crossed(tiny(), "stop={rounds: 1, target_accuracy: 0.5}").target_accuracy == 0.5
    assert crossed(tiny(), "stop.target_accuracy=0.5,0.6").target_accuracy is None
    assert crossed(tiny()).target_accuracy is None


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("update", "--axis update: expected KEY=v1,v2,..."),
        ("update=", "--axis update=: expected KEY=v1,v2,..."),
        ("update=full,{kind", "--axis update=full,{kind: not valid YAML"),
        ("=full", "--axis =full: '' is no key"),
        ("seed=1,2", "--axis seed=1,2: seed cannot be an axis: use --seeds N"),
        ("sweep.update=full", "--axis sweep.update=full: sweep cannot be an axis"),
        ("update=full,ful", "--axis update=full,ful: update.kind: unknown kind 'ful': did you mean 'full'?"),
        ("network.latncy=1 s", "--axis network.latncy=1 s: network.latncy: unknown key: did you mean 'latency'?"),
        ("network.latency=100 ms,100 ms", "two cells of the sweep are the same run, in the same words: "),
    ],
)
def test_a_wrong_axis_is_said_with_the_axis_as_its_place(tiny, axis, message):
    assert error(tiny(), axis).startswith(message)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("sweep: [update]\n", "tiny.yaml:9: sweep: must be keys with lists of values"),
        ("sweep: {update: full}\n", "tiny.yaml:9: sweep.update: must be a list of values"),
        ("sweep: {update: []}\n", "tiny.yaml:9: sweep.update: must be a list of values"),
        ("sweep:\n  update:\n  - full\n  - ful\n", "tiny.yaml:12: update.kind: unknown kind 'ful'"),
        ("sweep: {a..b: [1]}\n", "tiny.yaml:9: 'a..b' is no key"),
    ],
)
def test_a_wrong_axis_in_the_file_is_said_with_its_line(tiny, sweep, message):
    assert message in error(tiny(sweep))


def test_a_sweep_that_nobody_can_wait_for_is_refused(tiny):
    numbers = ",".join(map(str, range(1, 202)))
    assert f"at most {MOST_CELLS}" in error(tiny(), f"training.local_steps={numbers}", f"training.batch_size={numbers}")


def test_what_is_wrong_with_the_base_is_said_once_with_its_own_line(tiny):
    assert error(tiny("seed: x\n"), "update=full,last", seeds=2).endswith("tiny.yaml:9: seed: must be a whole number, found 'x'")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("100 ms", "100 ms"),
        (0.05, "0.05"),
        (3, "3"),
        (True, "true"),
        (None, "null"),
        ({"kind": "full"}, "full"),
        ({"kind": "dga", "delay": 5}, "{kind: dga, delay: 5}"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_a_value_is_labelled_as_it_is_written(value, text):
    assert label(value) == text
