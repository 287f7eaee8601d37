from dataclasses import replace

from fedtiny.reports.figures import sweep_curves


def curves(axes):
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 2]


def test_every_seed_of_every_cell_is_a_line(make_sweep):
    sweep, runs = make_sweep((0, 1))
    panels = sweep_curves.draw(sweep, runs).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["device.memory 2 MB", "device.memory 8 MB"]
    assert [len(curves(axes)) for axes in panels] == [8, 8]


def test_seeds_of_a_cell_share_a_colour_and_cells_do_not(make_sweep):
    sweep, runs = make_sweep((0, 1))
    colors = [line.get_color() for line in curves(sweep_curves.draw(sweep, runs).axes[0])]
    assert colors[0] == colors[1]
    assert len(set(colors)) == 4


def test_values_without_an_order_are_told_apart_by_hue(make_sweep):
    sweep, runs = make_sweep((0,))
    named = replace(sweep, axes={"network.latency": sweep.axes["network.latency"]})
    shaded = {line.get_color() for line in curves(sweep_curves.draw(named, runs).axes[0])}
    assert all(not str(color).startswith("#") for color in shaded)
    table = sweep.cells.rename_columns(["update" if name == "network.latency" else name for name in sweep.cells.column_names])
    names = {"20 ms": "full", "100 ms": "last", "500 ms": "bias", "2 s": "tinytl"}
    column = [[names[value] for value in table["update"].to_pylist()]]
    hued = replace(sweep, axes={"update": tuple(names.values())}, cells=table.set_column(1, "update", column))
    assert all(str(line.get_color()).startswith("#") for line in curves(sweep_curves.draw(hued, runs).axes[0]))


def test_without_runs_there_are_no_curves(make_sweep):
    sweep, _ = make_sweep((0,))
    assert sweep_curves.draw(sweep, {}) is None
