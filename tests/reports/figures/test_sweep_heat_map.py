from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from fedtiny.reports.figures import sweep_heat_map
from fedtiny.results.sweep import combinations


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_cell_says_what_came_of_it(make_sweep):
    sweep, _ = make_sweep((0, 1))
    found = texts(sweep_heat_map.draw(sweep))
    assert len(found) == 12
    assert found.count("does not fit") == 4
    assert sum(text.startswith("never\n(ends at 7") for text in found) == 1
    assert sum(" ± " in text for text in found) == 7


def test_cells_that_do_not_fit_are_hatched(make_sweep):
    sweep, _ = make_sweep((0,))
    assert [patch.get_hatch() for patch in sweep_heat_map.draw(sweep).axes[0].patches].count("////") == 4


def test_the_better_cell_is_the_brighter_one(make_sweep):
    sweep, _ = make_sweep((0,))
    patches = sweep_heat_map.draw(sweep).axes[0].patches
    shown = {
        cell.interval("time_to_target").mean: sum(patch.get_facecolor()[:3])
        for cell, patch in zip(combinations(sweep), patches, strict=True)
        if cell.interval("time_to_target")
    }
    assert shown[min(shown)] == max(shown.values())
    assert shown[max(shown)] == min(shown.values())


def test_a_target_that_only_some_seeds_reach_is_said_to_be(make_sweep):
    sweep, _ = make_sweep((0, 1))
    rows = [{**row, "time_to_target": None if row["cell"] == "cell02-1" else row["time_to_target"]} for row in sweep.cells.to_pylist()]
    found = texts(sweep_heat_map.draw(replace(sweep, cells=pa.Table.from_pylist(rows, schema=sweep.cells.schema))))
    assert [text.startswith("1 of 2 seeds\n(ends at ") for text in found].count(True) == 1
    assert sum(" ± " in text for text in found) == 6


def test_a_third_axis_gets_panels(make_sweep):
    sweep, _ = make_sweep((0,))
    strategies = ["fedavg"] * 6 + ["{kind: dga, delay: 5}"] * 6
    three = replace(
        sweep,
        axes={**sweep.axes, "strategy": ("fedavg", "{kind: dga, delay: 5}")},
        cells=sweep.cells.append_column("strategy", [strategies]),
    )
    titles = [axes.get_title(loc="left") for axes in sweep_heat_map.draw(three).axes[:2]]
    assert titles == ["strategy fedavg", "strategy dga, delay 5"]


def test_one_axis_makes_one_row(make_sweep):
    sweep, _ = make_sweep((0,))
    cells = sweep.cells.filter(pc.equal(sweep.cells["device.memory"], "8 MB"))
    one = replace(sweep, axes={"network.latency": sweep.axes["network.latency"]}, cells=cells)
    assert len(sweep_heat_map.draw(one).axes[0].get_yticks()) == 1


def test_without_axes_or_results_there_is_no_map(make_sweep):
    sweep, _ = make_sweep((0,))
    assert sweep_heat_map.draw(replace(sweep, axes={})) is None
    assert sweep_heat_map.draw(replace(sweep, cells=sweep.cells.slice(0, 1))) is None
