from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from fedtiny.reports.sweep_headline import sweep_headline


def plain(sentences):
    return " ".join(sentences).replace("\N{NO-BREAK SPACE}", " ")


def test_the_headline_of_a_sweep_counts_its_cells_and_names_the_best(make_sweep):
    sweep, _ = make_sweep((0, 1))
    text = plain(sweep_headline(sweep))
    assert (
        "12 combinations of network.latency and device.memory, 2 seeds each: 8 done, 4 not fitting the memory (device.memory 256 kB)."
        in text
    )
    assert "sooner than network.latency 500 ms, device.memory 2 MB. 1 combination never got there." in text
    assert "The fastest to 75.0 % accuracy is network.latency 100 ms, device.memory 8 MB" in text
    assert "The most accurate is" in plain(sweep_headline(replace(sweep, target_accuracy=None)))


def test_the_headline_of_a_sweep_without_axes_counts_its_seeds(make_sweep):
    sweep, _ = make_sweep((0, 1))
    done = sweep.cells.filter(pc.equal(sweep.cells["status"], "done")).slice(0, 2)
    assert plain(sweep_headline(replace(sweep, axes={}, cells=done))) == "One scenario with 2 seeds: 2 done."


def strategies(make_sweep, times):
    """A sweep over strategies and latencies with these times to target, seconds, None where it is never reached."""
    sweep, _ = make_sweep((0,))
    row = next(row for row in sweep.cells.to_pylist() if row["status"] == "done")
    axes = {"strategy": ("fedavg", "dga"), "network.latency": ("10 ms", "1 s")}
    rows = [
        {**row, "strategy": strategy, "network.latency": latency, "time_to_target": times[strategy][place]}
        for strategy in axes["strategy"]
        for place, latency in enumerate(axes["network.latency"])
    ]
    names = [name for name in sweep.cells.schema.names if name != "device.memory"]
    table = pa.Table.from_pylist(rows).select(["strategy", *names])
    return replace(sweep, axes=axes, cells=table)


def test_a_choice_is_told_by_how_much_sooner_it_is_over_pairs_that_differ_in_nothing_else(make_sweep):
    text = plain(sweep_headline(strategies(make_sweep, {"fedavg": (20.0, 80.0), "dga": (10.0, 10.0)})))
    assert text.startswith("strategy dga reached 75.0 % 4 × sooner than fedavg (mean of 2 pairs, 2 to 8 × from pair to pair).")


def test_cells_that_never_reach_the_target_are_in_no_pair(make_sweep):
    text = plain(sweep_headline(strategies(make_sweep, {"fedavg": (20.0, None), "dga": (10.0, 10.0)})))
    assert text.startswith("strategy dga reached 75.0 % 2 × sooner than fedavg (mean of 1 pair).")
    assert "1 combination never got there." in text
