"""The figure of contributions shows every measured gain and frames what a scheme chose."""

import numpy as np
from matplotlib.patches import Rectangle

from fedtiny.reports import style
from fedtiny.reports.figures.contributions import draw

BIASES = {0: 0.0, 4: 0.05, 8: 0.07}
WEIGHTS = {5: {0.25: 0.01, 1.0: 0.02}, 6: {0.25: -0.03, 1.0: 0.0}, 7: {0.25: 0.004, 1.0: 0.03}}


def test_gains_are_in_points_where_they_were_measured():
    left, right, *_ = draw(BIASES, WEIGHTS, 4, {7: 1.0}).axes
    line = left.get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), [0, 4, 8])
    np.testing.assert_allclose(line.get_ydata(), [0, 5, 7])
    np.testing.assert_allclose(right.images[0].get_array(), [[1, -3, 0.4], [2, 0, 3]])


def test_what_a_scheme_chose_is_marked():
    left, right, *_ = draw(BIASES, WEIGHTS, 4, {7: 1.0, 5: 0.25}).axes
    assert left.get_lines()[1].get_xydata().tolist() == [[4, 5]]
    frames = {patch.get_xy() for patch in right.patches if isinstance(patch, Rectangle)}
    assert frames == {(1.5, 0.5), (-0.5, -0.5)}


def test_biases_alone_have_a_figure_too():
    figure = draw(BIASES, {}, 8, {})
    assert [axes.get_visible() for axes in figure.axes] == [True, False]


def test_the_figure_is_the_same_bytes_every_time():
    first, second = (style.svg_text(draw(BIASES, WEIGHTS, 4, {7: 1.0})) for _ in range(2))
    assert first == second
