from fedtiny.reports.figures.round_durations import draw


def test_every_round_is_in_a_bin(fedavg, dga):
    (axes,) = draw([fedavg, dga]).axes
    assert [int(patch.get_data().values.sum()) for patch in axes.patches] == [40, 40]


def test_rounds_of_equal_length_stand_in_one_bin_inside_the_axes(dga):
    (axes,) = draw([dga]).axes
    edges = axes.patches[0].get_data().edges
    assert edges[-1] > edges[0] >= 0


def test_less_than_three_rounds_are_no_histogram(empty, make_run):
    assert draw([empty]) is None
    assert draw([make_run("two", rounds=2)]) is None
