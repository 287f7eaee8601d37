from dataclasses import replace

from fedtiny.reports.figures import memory


def labels(figure):
    return [tick.get_text() for tick in figure.axes[0].get_yticklabels()]


def notes(figure):
    return [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in figure.axes[0].texts]


def test_every_class_has_a_bar_with_its_need_and_its_budget(fedavg):
    figure = memory.draw([fedavg])
    assert labels(figure) == ["raspberry_pi_4", "jetson_nano", "stm32f746"]
    assert notes(figure) == ["1.47 MB of 1 GB  ▸", "1.47 MB of 2 GB  ▸", "1.47 MB of 256 kB: does not fit"]


def test_items_are_stacked_up_to_the_total(fedavg):
    (axes,) = memory.draw([fedavg]).axes
    first = [bar for bar in axes.patches if round(bar.get_y() + bar.get_height() / 2) == 0]
    assert [round(bar.get_width(), 6) for bar in first if bar.get_width()] == [0.096, 0.21, 0.64, 0.52]
    assert round(max(bar.get_x() + bar.get_width() for bar in first), 6) == 1.466


def test_what_does_not_fit_is_hatched_and_named(fedavg):
    figure = memory.draw([fedavg])
    assert sum(bar.get_hatch() is not None for bar in figure.axes[0].patches) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "does not fit"
    fitting = replace(fedavg, memory=fedavg.memory[:2])
    assert "does not fit" not in [text.get_text() for text in memory.draw([fitting]).legends[0].get_texts()]


def test_a_budget_within_sight_is_marked(fedavg):
    need = {**fedavg.memory[0], "budget": 1_600_000}
    figure = memory.draw([replace(fedavg, memory=[need])])
    assert figure.axes[0].get_lines()[0].get_xdata().tolist() == [1.6, 1.6]
    assert notes(figure) == ["1.47 MB of 1.6 MB"]


def test_runs_that_need_the_same_share_a_bar_and_others_are_told_apart(fedavg, dga):
    assert labels(memory.draw([fedavg, dga])) == ["raspberry_pi_4", "jetson_nano", "stm32f746"]
    more = replace(dga, memory=[{**dga.memory[0], "total_bytes": 2_000_000}])
    assert labels(memory.draw([fedavg, more])) == ["raspberry_pi_4 (fedavg)", "jetson_nano", "stm32f746", "raspberry_pi_4 (dga)"]
    other = replace(dga, memory=[{**dga.memory[0], "scheme": "full"}])
    assert labels(memory.draw([fedavg, other]))[-1] == "raspberry_pi_4 · full"


def test_more_than_six_items_are_gathered_under_other(fedavg):
    items = {f"item_{n}": 10 + n for n in range(9)}
    need = {**fedavg.memory[0], "items": items, "total_bytes": sum(items.values())}
    names = [text.get_text() for text in memory.draw([replace(fedavg, memory=[need])]).legends[0].get_texts()]
    assert names[:6] == ["item 4", "item 5", "item 6", "item 7", "item 8", "other"]


def test_without_memory_there_is_no_figure(empty):
    assert memory.draw([empty]) is None
