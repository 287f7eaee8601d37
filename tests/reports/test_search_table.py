from fedtiny.reports.search_table import search_table


def test_the_front_comes_first_then_the_better_then_what_has_no_value(make_search):
    sweep = make_search("accuracy", "time_to_target")
    table = search_table(sweep, sweep.search)
    assert table.columns == ("network.latency", "update", "on the front", "status", "trial", "final accuracy (%)", "time to target (s)")
    assert [row[4] for row in table.rows] == ["4", "0", "1", "5", "2", "3", "6", "7"]
    assert [row[2] for row in table.rows] == ["yes", "yes", "", "", "", "", "", ""]
    assert table.rows[0][:2] == ("1 s", "full")
    assert table.rows[0][5:] == ("82", "31")
    assert table.rows[4][3:] == ("never there", "2", "50", "–")


def test_with_one_objective_the_best_is_marked(make_search):
    sweep = make_search("loss")
    assert search_table(sweep, sweep.search).columns[2] == "best"
