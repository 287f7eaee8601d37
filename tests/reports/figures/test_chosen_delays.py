from dataclasses import replace

from fedtiny.reports.figures import chosen_delays


def changing(result):
    """The run with a delay that falls once."""
    rounds = result.rounds
    delays = [None, 20, 20, *[7] * (rounds.num_rows - 3)]
    place = rounds.schema.get_field_index("delay")
    return replace(result, name="chosen", rounds=rounds.set_column(place, rounds.schema.field(place), [delays]))


def test_the_line_goes_through_the_delay_of_every_round(dga):
    (axes,) = chosen_delays.draw([changing(dga)]).axes
    (line,) = axes.get_lines()
    assert list(line.get_ydata())[1:4] == [20, 20, 7]
    assert list(line.get_xdata())[:4] == [0, 1, 2, 3]


def test_beside_a_delay_that_changes_one_that_stays_is_drawn_and_a_run_without_is_not(fedavg, dga):
    (axes,) = chosen_delays.draw([fedavg, dga, changing(dga)]).axes
    assert [line.get_label() for line in axes.get_lines()] == ["dga", "chosen"]


def test_delays_that_stay_the_same_make_no_figure(fedavg, dga, empty):
    assert chosen_delays.draw([fedavg, dga, empty]) is None
