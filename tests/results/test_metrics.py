import numpy as np
import pyarrow as pa
import pytest

from fedtiny.results import metrics
from fedtiny.results.record import ROUNDS


def energy_twin(activities, time):
    """Joules by a plain loop over the activities."""
    total = 0.0
    for row in activities.to_pylist():
        span = row["end"] - row["start"]
        share = 1.0 if time >= row["end"] else 0.0 if time <= row["start"] else (time - row["start"]) / span
        total += row["energy"] * share
    return total


def test_the_first_version_at_or_above_the_target_counts(rounds):
    assert metrics.rounds_to_target(rounds, 0.6) == 2
    assert metrics.time_to_target(rounds, 0.6) == 20.0
    assert metrics.bytes_to_target(rounds, 0.6) == 300
    assert metrics.energy_to_target(rounds, 0.6) == 40.0


def test_a_target_that_the_initial_model_meets_costs_nothing(rounds):
    assert metrics.rounds_to_target(rounds, 0.1) == 0
    assert metrics.time_to_target(rounds, 0.1) == 0.0


def test_a_target_that_is_never_reached_is_none(rounds):
    for metric in (metrics.rounds_to_target, metrics.time_to_target, metrics.bytes_to_target, metrics.energy_to_target):
        assert metric(rounds, 0.61) is None


def test_energy_to_a_target_is_none_where_the_energy_is_unknown(rounds):
    unknown = rounds.set_column(ROUNDS.get_field_index("energy"), ROUNDS.field("energy"), pa.nulls(4, pa.float64()))
    assert metrics.energy_to_target(unknown, 0.6) is None
    assert metrics.time_to_target(unknown, 0.6) == 20.0


def test_a_delay_changes_where_two_rounds_have_different_ones(rounds):
    assert metrics.changes_delay(rounds)
    assert not metrics.changes_delay(rounds.slice(0, 3))
    assert not metrics.changes_delay(rounds.slice(0, 1))


def test_final_and_best_skip_versions_that_were_not_evaluated(rounds):
    assert metrics.final_accuracy(rounds) == 0.5
    assert metrics.final_accuracy(rounds.slice(0, 2)) == 0.1
    assert metrics.best_accuracy(rounds) == 0.6


def test_the_final_loss_is_that_of_the_last_version_and_none_where_it_diverged(rounds):
    losses = rounds["loss"].to_pylist()
    assert metrics.final_loss(rounds.slice(0, 1)) == losses[0]
    assert not np.isfinite(losses[-1])
    assert metrics.final_loss(rounds) is None


def test_without_any_accuracy_there_is_neither_final_nor_best(rounds):
    unmeasured = rounds.slice(1, 1)
    assert metrics.final_accuracy(unmeasured) is None
    assert metrics.best_accuracy(unmeasured) is None


def test_the_mean_round_time_is_the_time_over_the_number_of_new_versions(rounds):
    assert metrics.mean_round_time(rounds) == pytest.approx(12.0)
    assert metrics.mean_round_time(rounds.slice(0, 1)) is None


def test_energy_in_progress_counts_pro_rata(activities):
    times = [0.0, 0.75, 1.5, 3.0, 5.0, 10.0, 99.0]
    expected = [energy_twin(activities, time) for time in times]
    assert metrics.cumulative_energy(activities, times) == pytest.approx(expected, rel=1e-14)
    assert expected[2] == 3.0 + 8.0 * 1.5 / 2.0 + 5.0 * 0.15
    assert expected[-1] == 37.0


def test_energy_agrees_with_a_plain_loop_on_many_overlapping_activities(activities):
    generator = np.random.default_rng(3)
    starts = generator.uniform(0, 50, 300).round(1)
    rows = [
        {**activities.slice(0, 1).to_pylist()[0], "start": start, "end": start + generator.choice([0.0, 0.1, 7.3, 30.0]), "energy": joules}
        for start, joules in zip(starts, generator.uniform(0, 3, 300), strict=True)
    ]
    table = pa.Table.from_pylist(rows, schema=activities.schema)
    times = generator.permutation(np.concatenate([starts[:40], np.linspace(0, 90, 61)]))
    twin = [energy_twin(table, time) if time else energy_twin(table, 0.0) for time in times]
    assert metrics.cumulative_energy(table, times) == pytest.approx(twin, rel=1e-12)


def test_one_unknown_energy_makes_the_sum_unknown(activities):
    rows = activities.to_pylist()
    rows[3]["energy"] = None
    assert np.isnan(metrics.cumulative_energy(pa.Table.from_pylist(rows, schema=activities.schema), [0.0, 10.0])).all()


def test_no_activities_cost_no_energy(activities):
    assert metrics.cumulative_energy(activities.slice(0, 0), [0.0, 5.0]).tolist() == [0.0, 0.0]


def test_device_classes_are_the_entries_of_the_fleet(devices):
    first, second = metrics.device_classes(devices)
    assert (first.group, first.label, first.rows.tolist()) == (0, "raspberry_pi_4 · lte_driving", [0, 1])
    assert (second.group, second.label, second.rows.tolist()) == (2, "stm32f746 · lte_driving", [2])


def test_classes_with_the_same_device_and_network_are_told_apart(devices):
    rows = [{**row, "profile": "pi"} for row in devices.to_pylist()]
    labels = [entry.label for entry in metrics.device_classes(pa.Table.from_pylist(rows, schema=devices.schema))]
    assert labels == ["pi · lte_driving #0", "pi · lte_driving #2"]


def test_processor_seconds_add_up_by_device_and_kind(activities, devices):
    spent = metrics.processor_seconds(activities, devices)
    assert spent["train"].tolist() == [3.0, 2.0, 0.0]
    assert spent["stall"].tolist() == [1.5, 4.0, 0.0]
    assert spent["idle"].tolist() == [0.0, 0.0, 10.0]
    assert spent["offline"].tolist() == [0.0, 0.0, 0.0]


def test_processor_seconds_follow_the_order_of_the_devices_table(activities, devices):
    backwards = devices.take([2, 1, 0])
    assert metrics.processor_seconds(activities, backwards)["train"].tolist() == [0.0, 2.0, 3.0]


def test_the_stall_share_leaves_out_idle_time(activities, devices):
    shares = metrics.stall_shares(activities, devices)
    assert shares[:2].tolist() == [1.5 / 4.5, 4.0 / 6.0]
    assert np.isnan(shares[2])


def test_the_stall_share_of_a_class_weighs_its_devices_by_their_time(activities, devices):
    assert metrics.stall_shares_by_class(activities, devices) == {0: 5.5 / 10.5, 2: None}


def test_runs_that_state_the_same_target_are_compared_at_it(rounds):
    assert metrics.common_target([0.4, 0.4], [rounds, rounds]) == metrics.Target(0.4, "stated by the scenario")


def test_runs_without_a_common_target_are_compared_at_95_percent_of_the_best(rounds):
    for stated in ([None, None], [0.4, 0.5], [None, 0.4]):
        target = metrics.common_target(stated, [rounds, rounds.slice(0, 1)])
        assert target.accuracy == pytest.approx(0.57)
        assert "95 % of the best accuracy" in target.rule


def test_without_accuracies_there_is_no_target(rounds):
    assert metrics.common_target([None], [rounds.slice(1, 1)]) is None


def test_the_summary_is_that_of_the_last_version(rounds, devices):
    assert metrics.run_summary(rounds, devices, 0.6) == {
        "rounds": 3,
        "virtual_time": 36.0,
        "accuracy": 0.5,
        "loss": None,
        "target_accuracy": 0.6,
        "rounds_to_target": 2,
        "time_to_target": 20.0,
        "bytes_to_target": 300,
        "energy_to_target": 40.0,
        "area_under_curve": pytest.approx(11.6),
        "bytes_up": 150,
        "bytes_down": 300,
        "energy": None,
        "peak_memory": 5000,
        "participants": 2,
        "failures": 1,
    }
    assert metrics.run_summary(rounds, devices, None)["time_to_target"] is None


def area_twin(rounds, until):
    """The area under the curve by a plain loop over the seconds' thousandths."""
    rows, step, total, held = rounds.to_pylist(), 1e-3, 0.0, None
    for tick in range(round(until / step)):
        for row in rows:
            if row["virtual_time"] <= (tick + 0.5) * step and row["accuracy"] is not None:
                held = row["accuracy"]
        total += held * step
        held = None
    return total


def test_a_version_is_held_until_the_next_evaluated_one(rounds):
    assert metrics.area_under_curve(rounds) == pytest.approx(20 * 0.1 + 16 * 0.6)
    assert metrics.area_under_curve(rounds, until=46.0) == pytest.approx(20 * 0.1 + 16 * 0.6 + 10 * 0.5)
    assert metrics.area_under_curve(rounds, until=30.0) == pytest.approx(20 * 0.1 + 10 * 0.6)
    assert metrics.area_under_curve(rounds, until=5.0) == pytest.approx(0.5)


@pytest.mark.parametrize("until", [0.5, 21.25, 40.0])
def test_the_area_agrees_with_a_plain_loop(rounds, until):
    assert metrics.area_under_curve(rounds, until) == pytest.approx(area_twin(rounds, until), rel=1e-9)


def test_without_accuracies_there_is_no_area(rounds):
    empty = rounds.set_column(2, ROUNDS.field("accuracy"), pa.nulls(4, pa.float64()))
    assert metrics.area_under_curve(empty) is None


def test_the_peak_of_memory_is_that_of_the_devices_that_took_part(devices):
    assert metrics.peak_memory(devices) == 5000
    assert metrics.peak_memory(devices.filter([False, False, True])) is None
