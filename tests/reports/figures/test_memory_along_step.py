from fedtiny.costs.ledger import Ledger, Moment, ledger_of
from fedtiny.reports.figures.memory_along_step import draw


def step(accounting="autograd", factor=1):
    moments = [
        Moment("blocks.0.convolution", "forward", {"frozen_parameters": 4 * factor, "saved_activations": 0, "transient_activations": 9}),
        Moment("head", "forward", {"frozen_parameters": 4 * factor, "saved_activations": 5 * factor, "transient_activations": 2}),
        Moment("head", "backward", {"frozen_parameters": 4 * factor, "saved_activations": 5 * factor, "transient_activations": 8}),
        Moment("", "update", {"frozen_parameters": 4 * factor, "update_buffers": 3}),
    ]
    return ledger_of(accounting, 1, tuple(moments))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def heights(axes):
    return [float(patch.get_data().values.max()) for patch in axes.patches]


def test_there_is_a_row_per_scheme_and_a_column_per_accounting():
    figure = draw([("full", "tinytl", step()), ("full", "autograd", step()), ("bias", "tinytl", step()), ("bias", "autograd", step())])
    panels = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == ["full", "", "bias", ""]
    assert [panel.get_title(loc="right").split()[0] for panel in panels[:2]] == ["tinytl", "autograd"]


def test_items_are_stacked_up_to_the_total_and_the_peak_is_named():
    (panel,) = draw([("full", "autograd", step())]).axes
    assert max(heights(panel)) == 17
    assert panel.get_title(loc="right") == "autograd 17\N{NO-BREAK SPACE}B"
    assert texts(panel) == ["head"]
    (marker,) = [line for line in panel.lines if line.get_marker() == "v"]
    assert marker.get_ydata()[0] == 17


def test_phases_are_set_apart_and_named():
    (panel,) = draw([("full", "autograd", step())]).axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["forward", "backward"]
    assert len([line for line in panel.lines if len(set(line.get_xdata())) == 1 and line.get_marker() != "v"]) == 2


def test_every_panel_has_the_unit_that_suits_it():
    small, large = draw([("full", "mcu", step()), ("full", "autograd", step(factor=10**6))]).axes
    assert (small.get_ylabel(), large.get_ylabel()) == ("B", "MB")


def test_the_legend_names_what_weighs_anything():
    figure = draw([("full", "autograd", step())])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "parameters",
        "gradients, optimizer",
        "saved activations",
        "transient activations",
    ]


def test_a_ledger_without_moments_leaves_a_gap():
    silent = Ledger("mcu", 1, {"frozen_parameters": 3}, "", ())
    panels = draw([("full", "mcu", silent), ("full", "autograd", step())]).axes
    assert not panels[0].axison
    assert panels[1].axison
