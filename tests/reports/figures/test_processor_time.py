import pytest

from fedtiny.reports.figures import processor_time
from fedtiny.results.metrics import processor_seconds


def test_the_bars_of_a_class_are_its_shares_and_fill_the_axis(fedavg):
    (axes,) = processor_time.draw([fedavg]).axes
    bars = [bar for bar in axes.patches if round(bar.get_y() + bar.get_height() / 2) == 1]
    spent = processor_seconds(fedavg.activities, fedavg.devices)
    jetsons = slice(5, 8)
    whole = sum(spent[kind][jetsons].sum() for kind in spent)
    assert bars[0].get_width() == pytest.approx(100 * spent["train"][jetsons].sum() / whole)
    assert sum(bar.get_width() for bar in bars) == pytest.approx(100.0)
    assert max(bar.get_x() + bar.get_width() for bar in bars) == pytest.approx(100.0)


def test_every_run_has_its_own_block(fedavg, dga, empty):
    titles = [axes.get_title(loc="left") for axes in processor_time.draw([fedavg, dga, empty]).axes]
    assert titles == ["fedavg", "dga"]


def test_without_time_there_is_no_figure(empty):
    assert processor_time.draw([empty]) is None
