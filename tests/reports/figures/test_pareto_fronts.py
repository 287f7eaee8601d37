from fedtiny.reports.figures.pareto_fronts import draw, draw_sweep


def test_there_is_a_panel_for_each_cost_in_which_runs_differ(fedavg, dga):
    panels = [axes.get_xlabel() for axes in draw([fedavg, dga]).axes if axes.get_visible()]
    assert [label.rpartition(" (")[0] for label in panels] == ["virtual time", "energy of the fleet"]


def test_combinations_that_do_not_fit_are_not_there(make_sweep):
    sweep, runs = make_sweep((0,))
    axes = draw_sweep(sweep, runs).axes[0]
    assert sum(line.get_xdata().size if hasattr(line.get_xdata(), "size") else len(line.get_xdata()) for line in axes.get_lines()) == 8


def test_every_panel_says_what_it_is_about(make_sweep):
    sweep, runs = make_sweep((0,))
    panels = [axes for axes in draw_sweep(sweep, runs).axes if axes.get_visible()]
    assert [axes.get_xlabel().rpartition(" (")[0] for axes in panels] == ["virtual time", "energy of the fleet", "bytes moved"]
    assert [axes.get_ylabel() for axes in panels] == ["final accuracy (%)", "", "final accuracy (%)"]


def test_one_run_has_no_front(fedavg, empty):
    assert draw([fedavg]) is None
    assert draw([fedavg, empty]) is None
