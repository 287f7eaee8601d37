from matplotlib.colors import to_hex

from fedtiny.reports import style
from fedtiny.reports.figures import learning_over_rounds, memory, processor_time, sweep_curves
from fedtiny.reports.greyscale import HATCHES, make_greyscale_safe


def printed(draw, *arguments):
    with style.printed():
        figure = draw(*arguments)
        make_greyscale_safe(figure)
        return figure


def test_fills_differ_by_hatch_where_they_differ_by_colour(fedavg):
    figure = printed(processor_time.draw, [fedavg])
    looks = {to_hex(patch.get_facecolor()): patch.get_hatch() for patch in figure.axes[0].patches}
    assert {style.GREEN: None, style.VERMILLION: HATCHES[style.VERMILLION], style.FADED: None}.items() <= looks.items()
    legend = {to_hex(patch.get_facecolor()): patch.get_hatch() for patch in figure.legends[0].get_patches()}
    assert legend.items() <= looks.items()
    assert len(legend) == 3


def test_what_says_something_else_by_its_hatch_keeps_it(fedavg):
    hatches = {patch.get_hatch() for patch in printed(memory.draw, [fedavg]).axes[0].patches}
    assert "/////" in hatches


def test_labels_on_hatched_bars_are_backed(fedavg):
    labels = printed(processor_time.draw, [fedavg]).axes[0].texts
    assert labels
    assert all(label.get_bbox_patch() is not None or label.get_color() == style.INK for label in labels)


def test_lines_of_shades_are_dashed_and_the_legend_with_them(make_sweep):
    sweep, runs = make_sweep((0,))
    figure = printed(sweep_curves.draw, sweep, runs)
    looks = {}
    for line in (*figure.axes[0].get_lines(), *figure.axes[1].get_lines(), *figure.legends[0].get_lines()):
        if to_hex(line.get_color()) != style.SOFT:
            looks.setdefault(to_hex(line.get_color()), set()).add(str(line._unscaled_dash_pattern))
    assert len(looks) == 4
    assert all(len(dashes) == 1 for dashes in looks.values())
    assert len({next(iter(dashes)) for dashes in looks.values()}) == 4


def test_lines_that_differ_already_stay_as_they_are(fedavg, dga):
    before = [line.get_linestyle() for line in learning_over_rounds.draw([fedavg, dga]).axes[0].get_lines()]
    after = [line.get_linestyle() for line in printed(learning_over_rounds.draw, [fedavg, dga]).axes[0].get_lines()]
    assert after == before
