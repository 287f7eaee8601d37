"""As many processes as get more done, measured."""

from fedtiny.sweeps.side_by_side import fewest_that_are_best, helpful_processes, throughputs


def test_more_processes_count_only_where_they_do_five_per_cent_more():
    assert fewest_that_are_best({1: 100.0, 2: 200.0}) == 2
    assert fewest_that_are_best({1: 100.0, 2: 104.0}) == 1
    assert fewest_that_are_best({1: 100.0, 2: 190.0, 4: 260.0, 8: 250.0}) == 4
    assert fewest_that_are_best({1: 100.0, 2: 60.0}) == 1


def test_each_of_the_processes_does_work():
    measured = throughputs([1, 2], seconds=0.05)
    assert sorted(measured) == [1, 2]
    assert all(done > 100 for done in measured.values())


def test_a_machine_of_one_processor_is_not_measured():
    assert helpful_processes(1) == 1
