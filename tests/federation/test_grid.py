"""VirtualTimeGrid behaves as a SuperLink does, with waiting that takes no time."""

import random

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from fedtiny.errors import ClientError, SimulationError
from fedtiny.federation.grid import HorizonReached, Participation, VirtualTimeGrid


def sources(replies):
    return [reply.metadata.src_node_id for reply in replies]


def codes(replies):
    return [reply.error.code if reply.has_error() else None for reply in replies]


# --- Flower's interface ---------------------------------------------------------------------------------------------


def test_every_abstract_method_of_a_grid_is_there():
    assert VirtualTimeGrid.__abstractmethods__ == frozenset()


def test_nodes_are_the_devices(grid_of):
    grid = grid_of((1, 1, 1))
    assert grid.get_node_ids() == [2, 3, 4]
    assert [node.node_id for node in grid.get_nodes()] == [2, 3, 4]


def test_a_message_made_by_the_grid_is_one_made_by_flower(grid_of):
    made = grid_of().create_message(RecordDict(), "train", 2, "group", ttl=5.0)
    assert (made.metadata.dst_node_id, made.metadata.message_type, made.metadata.group_id, made.metadata.ttl) == (2, "train", "group", 5.0)


def test_there_is_no_record_of_the_run_to_ask_for(grid_of):
    grid = grid_of()
    grid.set_run(object())
    with pytest.raises(SimulationError, match=r"context\.run_config"):
        _ = grid.run


def test_a_reply_answers_its_message(grid_of, train):
    grid = grid_of((2.0,), seconds=3.0)
    (message_id,) = grid.push_messages([train(2)])
    (reply,) = grid.wait([message_id])
    assert (reply.metadata.reply_to_message_id, reply.metadata.src_node_id, reply.metadata.dst_node_id) == (message_id, 2, 1)
    np.testing.assert_array_equal(reply.content["arrays"]["w"].numpy(), [1, 1])
    assert grid.now == 2 + 3 + 2


def test_waiting_ends_with_the_last_reply(grid_of, train):
    grid = grid_of((1.0, 5.0, 2.0))
    assert len(grid.send_and_receive([train(node) for node in (2, 3, 4)])) == 3
    assert grid.now == 10.0


def test_replies_are_sorted_by_node(grid_of, train):
    grid = grid_of((9.0, 5.0, 1.0))
    assert sources(grid.send_and_receive([train(node) for node in (3, 4, 2)])) == [2, 3, 4]


def test_replies_of_one_node_keep_the_order_of_its_messages(grid_of, train):
    grid = grid_of((1.0,))
    ids = grid.push_messages([train(2) for _ in range(12)])
    assert [reply.metadata.reply_to_message_id for reply in grid.wait(ids[::-1])] == ids


def test_nothing_to_wait_for_takes_no_time(grid_of):
    grid = grid_of()
    assert grid.send_and_receive([]) == []
    assert grid.now == 0.0


def test_a_timeout_hands_over_what_has_come_and_late_replies_stay_there(grid_of, train):
    grid = grid_of((1.0, 5.0))
    ids = grid.push_messages([train(2), train(3)])
    assert sources(grid.wait(ids, timeout=4.0)) == [2]
    assert grid.now == 4.0
    assert sources(grid.wait([ids[1]])) == [3]
    assert grid.now == 10.0


def test_a_reply_at_the_very_deadline_is_in_time(grid_of, train):
    grid = grid_of((2.0,))
    assert sources(grid.send_and_receive([train(2)], timeout=4.0)) == [2]


def test_a_reply_is_handed_over_once(grid_of, train):
    grid = grid_of()
    (message_id,) = ids = grid.push_messages([train(2)])
    assert codes(grid.wait(ids)) == [None]
    (again,) = grid.pull_messages(ids)
    assert (again.error.code, again.metadata.reply_to_message_id) == (3, message_id)


def test_asking_twice_in_one_breath_gives_one_reply(grid_of, train):
    grid = grid_of()
    (message_id,) = grid.push_messages([train(2)])
    assert codes(grid.wait([message_id, message_id])) == [None]


def test_an_unknown_message_is_error_3_from_the_server(grid_of):
    (reply,) = grid_of().pull_messages(["nonsense"])
    assert (reply.error.code, reply.metadata.src_node_id, reply.metadata.reply_to_message_id) == (3, 1, "nonsense")


def test_an_unknown_node_is_error_5_from_the_server(grid_of, train):
    grid = grid_of()
    (message_id,) = grid.push_messages([train(77)])
    (reply,) = grid.wait([message_id])
    assert (reply.error.code, reply.metadata.src_node_id, reply.metadata.reply_to_message_id) == (5, 1, message_id)
    assert "77" in reply.error.reason
    assert grid.now == 0.0


def test_error_replies_are_told_apart_by_the_message_they_answer(grid_of, train):
    grid = grid_of((1.0, 1.0))
    ids = grid.push_messages([train(55), train(3), train(66)])
    replies = {reply.metadata.reply_to_message_id: reply for reply in grid.wait(ids)}
    assert {message_id: codes([reply]) for message_id, reply in replies.items()} == {ids[0]: [5], ids[1]: [None], ids[2]: [5]}


def test_a_clients_exception_is_error_2_in_the_words_of_a_supernode(grid_of, train):
    grid = grid_of((1.0,), seconds=2.0)
    (reply,) = grid.send_and_receive([train(2, fail=1)])
    assert (reply.error.code, reply.error.reason) == (2, "<class 'ZeroDivisionError'>:<'division by zero'>")
    assert reply.metadata.src_node_id == 2
    assert [activity.outcome for activity in grid.trace.activities if activity.kind == "train"] == ["failed"]


def test_a_client_keeps_what_it_changed_before_it_raised(grid_of, train):
    grid = grid_of()
    grid.send_and_receive([train(2, fail=1)])
    assert grid.nodes[2].context.state["calls"]["count"] == 1


def test_a_clients_exception_can_end_the_run(grid_of, train):
    grid = grid_of((1.0, 1.0), raise_errors=True)
    with pytest.raises(ClientError, match=r"device 1 \(custom\) failed in round 4: ZeroDivisionError: division by zero"):
        grid.send_and_receive([train(3, fail=1, **{"server-round": 4})])


def test_a_message_without_a_handler_fails_like_any_other(grid_of):
    grid = grid_of()
    (reply,) = grid.send_and_receive([Message(RecordDict(), 2, "query")])
    assert reply.error.code == 2


# --- isolation ------------------------------------------------------------------------------------------------------


def test_clients_that_were_sent_one_record_do_not_see_each_others_edits(grid_of):
    app, seen = ClientApp(), []

    @app.train()
    def edit(message, context):
        content = message.content
        seen.append(
            (content["config"]["rate"], list(content["config"]["steps"]), list(content["metrics"]["losses"]), len(content["arrays"]))
        )
        content["config"]["rate"] = 9.0
        content["config"]["steps"].append(4)
        content["metrics"]["losses"].append(0.5)
        content["arrays"]["more"] = Array(np.zeros(3))
        content["more"] = ConfigRecord()
        return Message(content, reply_to=message)

    shared = RecordDict(
        {
            "arrays": ArrayRecord({"w": Array(np.ones(2))}),
            "config": ConfigRecord({"rate": 1.0, "steps": [1, 2]}),
            "metrics": MetricRecord({"losses": [1.0]}),
        }
    )
    grid = grid_of((1.0, 2.0), app=app)
    replies = grid.send_and_receive([Message(shared, node, "train") for node in (2, 3)])
    assert seen == [(1.0, [1, 2], [1.0], 1)] * 2
    assert (dict(shared["config"]), len(shared)) == ({"rate": 1.0, "steps": [1, 2]}, 3)
    replies[0].content["config"]["steps"].append(5)
    assert list(replies[1].content["config"]["steps"]) == [1, 2, 4]


def test_a_server_cannot_change_a_message_it_has_sent(grid_of, train):
    app, seen = ClientApp(), []

    @app.train()
    def look(message, context):
        seen.append(message.content["config"]["server-round"])
        return Message(RecordDict(), reply_to=message)

    grid, message = grid_of((1.0,), app=app), train(2)
    ids = grid.push_messages([message])
    message.content["config"]["server-round"] = 2
    grid.wait(ids)
    assert seen == [1]


def test_a_client_cannot_change_a_reply_it_has_sent(grid_of, train):
    app, kept = ClientApp(), []

    @app.train()
    def answer(message, context):
        kept.append(RecordDict({"metrics": MetricRecord({"loss": 1.0})}))
        return Message(kept[-1], reply_to=message)

    grid = grid_of((1.0,), app=app, seconds=5.0)
    (message_id,) = grid.push_messages([train(2)])
    grid.sleep(2.0)
    kept[0]["metrics"]["loss"] = 7.0
    assert grid.wait([message_id])[0].content["metrics"]["loss"] == 1.0


# --- time -----------------------------------------------------------------------------------------------------------


def test_an_empty_pull_takes_the_poll_interval(grid_of, train):
    grid = grid_of((10.0,), poll_interval=3.0)
    ids = grid.push_messages([train(2)])
    assert grid.pull_messages(ids) == []
    assert grid.now == 3.0


def test_an_empty_pull_ends_with_the_next_arrival(grid_of, train):
    grid = grid_of((1.0, 10.0), poll_interval=3.0)
    ids = grid.push_messages([train(2), train(3)])
    assert sources(grid.pull_messages(ids)) == [2]
    assert grid.now == 2.0


def test_a_pull_that_finds_something_takes_no_time(grid_of, train):
    grid = grid_of((1.0, 10.0), poll_interval=3.0)
    ids = grid.push_messages([train(2), train(3)])
    grid.sleep(5.0)
    assert sources(grid.pull_messages(ids)) == [2]
    assert grid.now == 5.0


def test_a_loop_that_only_pulls_comes_to_its_end(grid_of, train):
    grid = grid_of((1.0, 4.0, 40.0), poll_interval=3.0)
    missing, pulls = set(grid.push_messages([train(node) for node in (2, 3, 4)])), 0
    while missing:
        pulls += 1
        assert pulls < 100
        missing -= {reply.metadata.reply_to_message_id for reply in grid.pull_messages(missing)}
    assert grid.now == 80.0


def test_a_loop_that_pulls_one_message_twice_comes_to_its_end(grid_of, train):
    grid = grid_of((10.0,), poll_interval=3.0)
    ids = grid.push_messages([train(2)]) * 2
    pulls = [len(grid.pull_messages(ids)) for _ in range(7)]
    assert pulls == [0] * 6 + [1]
    assert grid.now == 20.0


def test_sleeping_lets_time_pass_and_work_be_done(grid_of, train):
    grid = grid_of((1.0,), seconds=2.0)
    ids = grid.push_messages([train(2)])
    grid.sleep(10.0)
    assert grid.now == 10.0
    assert codes(grid.wait(ids)) == [None]
    assert grid.now == 10.0


def test_messages_for_one_node_travel_as_one_burst(grid_of, train):
    grid = grid_of((3.0, 3.0), network={"jitter": "1 s"})
    grid.wait(grid.push_messages([train(2), train(3), train(2)]))
    arrivals = {}
    for activity in grid.trace.activities:
        if activity.kind == "download":
            arrivals.setdefault(activity.device, []).append(activity.arrival)
    assert len(set(arrivals[0])) == 1
    assert arrivals[0][0] != arrivals[1][0]


def test_a_lifetime_ends_at_its_very_moment(grid_of, train):
    grid = grid_of((3.0,), lifetime=5.0)
    (reply,) = grid.send_and_receive([train(2)])
    assert (reply.error.code, reply.metadata.src_node_id) == (3, 1)
    assert grid.now == 5.0


def test_a_reply_after_the_lifetime_is_dropped(grid_of, train):
    grid = grid_of((3.0,), lifetime=5.0)
    ids = grid.push_messages([train(2)])
    grid.sleep(20.0)
    assert codes(grid.pull_messages(ids)) == [3]
    assert [activity.outcome for activity in grid.trace.activities if activity.kind == "upload"] == ["late"]


def test_a_reply_that_came_while_the_server_waits_is_not_lost_with_the_others(grid_of, train):
    grid = grid_of((1.0, 9.0), lifetime=5.0)
    assert codes(grid.send_and_receive([train(2), train(3)])) == [None, 3]
    assert grid.now == 5.0


def test_a_reply_that_came_within_the_lifetime_stays(grid_of, train):
    grid = grid_of((2.0,), lifetime=5.0)
    ids = grid.push_messages([train(2)])
    grid.sleep(20.0)
    assert codes(grid.wait(ids)) == [None]
    assert codes(grid.send_and_receive([train(2)])) == [None]


def test_a_message_whose_lifetime_is_over_is_not_worked_on(grid_of, train):
    grid = grid_of((7.0,), lifetime=5.0)
    assert codes(grid.send_and_receive([train(2)])) == [3]
    grid.sleep(50.0)
    assert "calls" not in grid.nodes[2].context.state
    assert [(activity.kind, activity.outcome) for activity in grid.trace.activities] == [("download", "late")]


def test_the_horizon_ends_the_run_at_its_very_moment(grid_of, train):
    grid = grid_of((3.0,), horizon=5.0)
    with pytest.raises(HorizonReached):
        grid.send_and_receive([train(2)])
    assert grid.now == 5.0


def test_what_comes_at_the_horizon_still_comes(grid_of, train):
    grid = grid_of((2.5,), horizon=5.0)
    assert codes(grid.send_and_receive([train(2)])) == [None]


def test_a_timeout_before_the_horizon_is_a_timeout(grid_of, train):
    grid = grid_of((3.0,), horizon=5.0)
    assert grid.send_and_receive([train(2)], timeout=4.0) == []
    assert grid.now == 4.0
    with pytest.raises(HorizonReached):
        grid.sleep(2.0)


def test_waiting_for_what_can_never_come_is_an_error(grid_of, train):
    grid = grid_of((1.0,))
    ids = grid.push_messages([train(2)])
    grid.environment = type(grid.environment)()
    with pytest.raises(SimulationError, match="1 replies are awaited and nothing is scheduled"):
        grid.wait(ids)


# --- who took part --------------------------------------------------------------------------------------------------


def test_a_round_counts_those_that_contributed_arrays_and_those_that_did_not(grid_of, train):
    grid = grid_of((1.0, 1.0, 9.0, 1.0))
    messages = [train(2), train(3, fail=1), train(4), Message(RecordDict({"config": ConfigRecord({"server-round": 1})}), 5, "evaluate")]
    grid.send_and_receive(messages, timeout=3.0)
    assert grid.close_round(1) == Participation(participants=1, failures=3)


def test_a_reply_after_its_round_is_late_and_changes_no_count(grid_of, train):
    grid = grid_of((1.0, 9.0))
    ids = grid.push_messages([train(2), train(3)])
    grid.wait(ids, timeout=3.0)
    assert grid.close_round(1) == Participation(1, 1)
    assert sources(grid.wait(ids[1:])) == [3]
    assert [activity.outcome for activity in grid.trace.activities if activity.kind == "upload"] == ["done", "late"]
    assert grid.close_round(1) == Participation(0, 0)


# --- an unmodified Flower app ---------------------------------------------------------------------------------------


def play_flower(grid_of, seed):
    random.seed(seed)
    grid = grid_of((1.0, 2.0, 3.0, 4.0, 5.0), seconds=1.0)
    result = FedAvg(fraction_train=0.6, fraction_evaluate=0.4).start(grid, ArrayRecord({"w": Array(np.zeros(3))}), num_rounds=3)
    return grid, result


def test_flowers_own_fedavg_runs_on_the_grid(grid_of):
    grid, result = play_flower(grid_of, 7)
    random.seed(7)
    expected, end = 0.0, 0.0
    for _ in range(3):
        trained = random.sample([2, 3, 4, 5, 6], 3)
        added = [node - 1 for node in trained]
        expected += sum(number * number for number in added) / sum(added)
        end += 2 * max(added) + 1 + 2 * max(node - 1 for node in random.sample([2, 3, 4, 5, 6], 2)) + 1
    np.testing.assert_allclose(result.arrays["w"].numpy(), [expected] * 3, rtol=1e-12)
    assert grid.now == pytest.approx(end)
    assert sum(node.context.state["calls"]["count"] for node in grid.nodes.values() if "calls" in node.context.state) == 9
    assert result.evaluate_metrics_clientapp[3]["accuracy"] == 0.5


def test_flowers_own_fedavg_runs_twice_alike(grid_of):
    (first, result), (second, again) = play_flower(grid_of, 3), play_flower(grid_of, 3)
    assert first.trace.activities == second.trace.activities
    np.testing.assert_array_equal(result.arrays["w"].numpy(), again.arrays["w"].numpy())


def test_flowers_own_fedavg_leaves_out_who_is_slower_than_its_timeout(grid_of):
    grid = grid_of((1.0, 1.0, 1.0, 10000.0))
    result = FedAvg(fraction_evaluate=0.0).start(grid, ArrayRecord({"w": Array(np.zeros(1))}), num_rounds=1, timeout=60)
    np.testing.assert_allclose(result.arrays["w"].numpy(), [(1 + 4 + 9) / 6])
    assert grid.now == 60.0
