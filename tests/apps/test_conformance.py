"""What Flower 1.41 does with messages, nodes and errors, on the virtual grid and on Flower's own InMemoryGrid: every test runs on both,
but for those about time, which Flower's grid does not have."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from fedtiny.apps.run import run_app
from fedtiny.errors import SimulationError

UNAVAILABLE = (
    "Error: Message Unavailable - The requested message could not be found in the database. It may have expired due to its TTL, been "
    "deleted because the destination SuperNode was removed from the federation, or never existed."
)
GONE = "Error: Node Unavailable — The destination node failed to report a heartbeat within 2 × its expected interval."


def server(main):
    app = ServerApp()
    app.main()(main)
    return app


def echo_app():
    app = ClientApp()

    @app.train()
    @app.evaluate()
    @app.query()
    @app.train("other")
    def echo(message, context):
        return Message(RecordDict({"echo": ConfigRecord({"type": message.metadata.message_type})}), reply_to=message)

    return app


def counting_app():
    app = ClientApp()

    @app.train()
    def count(message, context):
        seen = context.state["n"]["n"] + 1 if "n" in context.state else 1
        context.state["n"] = MetricRecord({"n": seen})
        if message.content.get("config", {}).get("fails"):
            raise ZeroDivisionError("division by zero")
        return Message(RecordDict({"n": MetricRecord({"n": seen})}), reply_to=message)

    return app


def to_all(grid, kind="train", content=None, **options):
    return [Message(content or RecordDict(), node, kind, **options) for node in grid.get_node_ids()]


def found_on(world, client_app, main, **options):
    """What a server's main gives."""
    found = []
    world.run(server(lambda grid, context: found.append(main(grid, context))), client_app, **options)
    return found[0]


# --- on both ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["train", "evaluate", "query", "train.other"])
def test_a_message_is_answered_by_the_function_of_its_type(world, kind):
    replies = found_on(world, echo_app(), lambda grid, _: list(grid.send_and_receive(to_all(grid, kind))))
    assert [reply.content["echo"]["type"] for reply in replies] == [kind] * 3
    assert [reply.metadata.message_type for reply in replies] == [kind] * 3


def test_a_type_that_the_app_does_not_know_is_error_2_in_flowers_words(world):
    (reply, *_) = found_on(world, echo_app(), lambda grid, _: list(grid.send_and_receive(to_all(grid, "query.what"))))
    assert reply.error.code == 2
    assert reply.error.reason == "<class 'ValueError'>:<'No query function registered with name 'what''>"


def test_a_pushed_message_has_the_id_that_its_reply_answers(world):
    def main(grid, _):
        messages = to_all(grid, group_id="third")
        ids = list(grid.push_messages(messages))
        assert [message.metadata.message_id for message in messages] == ids
        replies = grid.pull_messages(ids)
        while len(replies) < 3:
            replies += grid.pull_messages([one for one in ids if one not in {reply.metadata.reply_to_message_id for reply in replies}])
        return messages, replies

    messages, replies = found_on(world, echo_app(), main)
    answered = {reply.metadata.reply_to_message_id: reply for reply in replies}
    for message in messages:
        reply = answered[message.metadata.message_id].metadata
        assert (reply.src_node_id, reply.dst_node_id, reply.group_id) == (message.metadata.dst_node_id, 1, "third")
        assert reply.run_id == message.metadata.run_id
        assert reply.message_id


def test_a_loop_that_only_pulls_ends(world):
    def main(grid, _):
        waiting, pulls = set(grid.push_messages(to_all(grid))), 0
        while waiting:
            waiting -= {reply.metadata.reply_to_message_id for reply in grid.pull_messages(waiting)}
            pulls += 1
            assert pulls < 100
        return pulls

    assert found_on(world, echo_app(), main) > 0


def test_a_reply_is_handed_over_once_and_asking_again_is_error_3(world):
    def main(grid, _):
        (first, *_) = grid.send_and_receive(to_all(grid))
        return list(grid.pull_messages([first.metadata.reply_to_message_id]))

    (again,) = found_on(world, echo_app(), main)
    assert (again.error.code, again.error.reason) == (3, UNAVAILABLE)
    assert (again.metadata.src_node_id, again.metadata.message_type) == (1, "system")


def test_an_id_that_nobody_pushed_is_error_3(world):
    (reply,) = found_on(world, echo_app(), lambda grid, _: list(grid.pull_messages(["4711"])))
    assert (reply.error.code, reply.error.reason, reply.metadata.reply_to_message_id) == (3, UNAVAILABLE, "4711")


def test_an_exception_is_error_2_and_the_state_keeps_what_was_changed_before_it(world):
    fails = RecordDict({"config": ConfigRecord({"fails": True})})

    def main(grid, _):
        return [list(grid.send_and_receive(to_all(grid, content=content))) for content in (RecordDict(), fails, RecordDict())]

    first, failed, last = found_on(world, counting_app(), main)
    assert [reply.content["n"]["n"] for reply in first] == [1, 1, 1]
    assert {(reply.error.code, reply.error.reason) for reply in failed} == {(2, "<class 'ZeroDivisionError'>:<'division by zero'>")}
    assert [reply.content["n"]["n"] for reply in last] == [3, 3, 3]


def test_messages_for_one_node_are_answered_one_by_one_in_their_order(world):
    def main(grid, _):
        node = grid.get_node_ids()[0]
        return list(grid.send_and_receive([Message(RecordDict(), node, "train") for _ in range(6)]))

    replies = found_on(world, counting_app(), main)
    assert sorted(reply.content["n"]["n"] for reply in replies) == [1, 2, 3, 4, 5, 6]


def test_a_node_knows_its_partition_and_the_run_configuration(world):
    app = ClientApp()

    @app.query()
    def who(message, context):
        told = {
            "partition": context.node_config["partition-id"],
            "of": context.node_config["num-partitions"],
            "lr": context.run_config["lr"],
        }
        return Message(RecordDict({"me": ConfigRecord({**told, "node": context.node_id})}), reply_to=message)

    replies = found_on(world, app, lambda grid, _: list(grid.send_and_receive(to_all(grid, "query"))), run_config={"lr": 0.25})
    assert [reply.content["me"]["partition"] for reply in replies] == [0, 1, 2]
    assert {(reply.content["me"]["of"], reply.content["me"]["lr"]) for reply in replies} == {(3, 0.25)}
    assert all(reply.content["me"]["node"] == reply.metadata.src_node_id for reply in replies)


def test_nodes_never_see_each_others_edits_of_what_they_were_sent(world):
    app, shared = ClientApp(), RecordDict({"config": ConfigRecord({"list": [1]}), "arrays": ArrayRecord([np.zeros(2)])})

    @app.train()
    def edit(message, context):
        message.content["config"]["list"].append(context.node_config["partition-id"])
        message.content["config"]["mine"] = True
        message.content["arrays"] = ArrayRecord([np.ones(2)])
        return Message(message.content, reply_to=message)

    def main(grid, _):
        first = list(grid.send_and_receive(to_all(grid, content=shared)))
        return first, shared["config"]["list"], "mine" in shared["config"], shared["arrays"].to_numpy_ndarrays()[0].tolist()

    replies, sent, edited, arrays = found_on(world, app, main)
    assert [reply.content["config"]["list"] for reply in replies] == [[1, 0], [1, 1], [1, 2]]
    assert (sent, edited, arrays) == ([1], False, [0.0, 0.0])


def test_a_state_is_a_copy_that_no_object_of_the_app_reaches(world):
    app, kept, contexts = ClientApp(), [], []

    @app.train()
    def keep(message, context):
        if contexts:
            contexts[-1].state = RecordDict()
        contexts.append(context)
        for record, state in kept:
            record["list"].append("from outside")
            state.clear()
        context.state.setdefault("kept", ConfigRecord({"list": []}))["list"].append(len(kept))
        kept.append((context.state["kept"], context.state))
        return Message(RecordDict({"kept": context.state["kept"]}), reply_to=message)

    def main(grid, _):
        node = grid.get_node_ids()[0]
        return [grid.send_and_receive([Message(RecordDict(), node, "train")])[0].content["kept"]["list"] for _ in range(3)]

    assert found_on(world, app, main) == [[0], [0, 1], [0, 1, 2]]


def test_mods_of_the_app_are_around_those_of_the_action(world):
    def mod(name):
        def around(message, context, call_next):
            reply = call_next(message, context)
            reply.content.setdefault("seen", ConfigRecord({"by": []}))["by"].append(name)
            return reply

        return around

    # what ClientApp(mods=...) means for decorated functions is Flower's business: both grids must show the same
    app = ClientApp(mods=[mod("app")])

    @app.train(mods=[mod("action")])
    def train(message, context):
        return Message(RecordDict(), reply_to=message)

    (reply, *_) = found_on(world, app, lambda grid, _: list(grid.send_and_receive(to_all(grid))))
    assert reply.content["seen"]["by"] == ["action", "app"]


def test_a_stock_strategy_runs_and_counts_every_message(world):
    def main(grid, _):
        result = FedAvg().start(grid=grid, initial_arrays=ArrayRecord([np.zeros(3)]), num_rounds=2)
        return result.arrays.to_numpy_ndarrays()[0].tolist()

    app = ClientApp()

    @app.train()
    def train(message, context):
        (weights,) = message.content["arrays"].to_numpy_ndarrays()
        metrics = MetricRecord({"num-examples": 1 + context.node_config["partition-id"]})
        return Message(RecordDict({"arrays": ArrayRecord([weights + metrics["num-examples"]]), "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message, context):
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1, "loss": 0.5})}), reply_to=message)

    mean = (1 + 4 + 9) / 6
    assert found_on(world, app, main) == pytest.approx([2 * mean] * 3)


def test_a_message_whose_time_to_live_is_not_positive_is_refused(world):
    def main(grid, _):
        (node, *_) = grid.get_node_ids()
        with pytest.raises(ValueError, match="Invalid message"):
            grid.push_messages([Message(RecordDict(), node, "train", ttl=-1.0)])
        return True

    assert found_on(world, echo_app(), main)


def test_a_lifespan_surrounds_the_server_app(world):
    app, seen = server(lambda grid, context: seen.append("main")), []

    @app.lifespan()
    def lifespan(context):
        seen.append("before")
        yield
        seen.append("after")

    world.run(app, echo_app())
    assert seen == ["before", "main", "after"]


# --- what only a clock can show --------------------------------------------------------------------------------------


def test_a_reply_that_comes_after_its_time_to_live_is_error_3_at_that_very_moment(fleet):
    def main(grid, _):
        node = grid.get_node_ids()[0]
        replies = list(grid.send_and_receive([Message(RecordDict(), node, "train", ttl=1.5)]))
        found.extend((grid.now, reply.error.code, reply.error.reason) for reply in replies)

    found = []
    run_app(server(main), echo_app(), fleet(1))
    assert found == [(1.5, 3, UNAVAILABLE)]


def test_a_reply_that_nobody_pulls_in_its_time_to_live_is_gone(fleet):
    def main(grid, _):
        node = grid.get_node_ids()[0]
        ids = grid.push_messages([Message(RecordDict(), node, "train", ttl=60.0)])
        time.sleep(61)
        found.extend(reply.error.code for reply in grid.pull_messages(ids))

    found = []
    run_app(server(main), echo_app(), fleet(1))
    assert found == [3]


def test_a_timeout_returns_what_came_and_late_replies_stay_pullable(scenario):
    text = "name: a\nfleet: [{count: 1, device: D, network: N}, {count: 1, device: E, network: N}]\n"
    devices = {"D": "{kind: custom, memory: 1 GB, step_time: 1 s}", "E": "{kind: custom, memory: 1 GB, step_time: 9 s}"}
    text = text.replace("N}", "{kind: custom, latency: 100 ms}}").replace("D,", f"{devices['D']},").replace("E,", f"{devices['E']},")

    def main(grid, _):
        messages = to_all(grid)
        replies = list(grid.send_and_receive(messages, timeout=5))
        found.append((grid.now, [reply.metadata.src_node_id for reply in replies]))
        late = messages[1].metadata.message_id
        while not (replies := list(grid.pull_messages([late]))):
            time.sleep(0.5)
        found.append((grid.now, [reply.has_content() for reply in replies]))

    found = []
    run_app(server(main), echo_app(), scenario(text + "app: {work: {train: {steps: 1}}}\n"))
    (first, came), (second, late) = found
    assert (first, came, late) == (5.0, [2], [True])
    assert second == pytest.approx(9.5)


def test_a_node_that_is_no_part_of_the_fleet_is_error_5(fleet):
    found = []
    run_app(server(lambda grid, _: found.extend(grid.send_and_receive([Message(RecordDict(), 99, "train")]))), echo_app(), fleet(1))
    assert (found[0].error.code, found[0].metadata.src_node_id) == (5, 1)


def test_sleeping_and_the_clocks_are_virtual_in_the_server_app_and_real_in_client_apps(fleet):
    real, app = time.time(), ClientApp()

    @app.train()
    def look(message, context):
        began = time.monotonic()
        time.sleep(0.02)
        return Message(RecordDict({"t": MetricRecord({"slept": time.monotonic() - began, "now": time.time()})}), reply_to=message)

    def main(grid, _):
        began, precise, nanoseconds = time.time(), time.perf_counter(), time.monotonic_ns()
        time.sleep(1e5)
        found.append((time.time() - began, time.perf_counter() - precise, (time.monotonic_ns() - nanoseconds) / 1e9, grid.now))
        found.extend(dict(reply.content["t"]) for reply in grid.send_and_receive(to_all(grid)))

    found = []
    run_app(server(main), app, fleet(1))
    assert found[0] == pytest.approx((1e5, 1e5, 1e5, 1e5))
    assert 0.015 < found[1]["slept"] < 1.0
    assert abs(found[1]["now"] - real) < 60
    assert abs(time.time() - real) < 60, "the clock is put back"


COMING = """
name: coming
fleet:
- {count: 1, device: {kind: custom, memory: 1 GB, step_time: 1 s}, network: {kind: custom, latency: 0 ms}}
- count: 1
  device: {kind: custom, memory: 1 GB, step_time: 1 s}
  network: {kind: custom, latency: 0 ms}
  availability: {kind: duty_cycle, on: 100 s, off: 40 s, phase: PHASE, noticed_after: NOTICED}
app: {work: {train: {steps: 30}}}
"""


def coming(phase, noticed="0 s"):
    return COMING.replace("PHASE", phase).replace("NOTICED", noticed)


def test_nodes_that_are_away_are_not_listed_and_a_strategy_waits_for_them_in_virtual_time(scenario):
    def main(grid, _):
        found.append(list(grid.get_node_ids()))
        FedAvg(fraction_evaluate=0.0).start(grid=grid, initial_arrays=ArrayRecord([np.zeros(1)]), num_rounds=1)
        found.append(grid.now)

    app, found = ClientApp(), []

    @app.train()
    def train(message, context):
        return Message(RecordDict({"arrays": message.content["arrays"], "metrics": MetricRecord({"num-examples": 1})}), reply_to=message)

    run_app(server(main), app, scenario(coming("100 s")))
    # the second node comes after 40 s, and 30 steps take 30 s
    assert found == [[2], pytest.approx(70.0)]


def test_a_node_that_leaves_is_error_5_when_the_server_looks(scenario):
    def main(grid, _):
        replies = list(grid.send_and_receive(to_all(grid)))
        found.extend((reply.has_error(), reply.metadata.src_node_id, grid.now) for reply in replies)
        found.extend((reply.error.code, reply.error.reason) for reply in replies if reply.has_error())

    found = []
    run_app(server(main), echo_app(), scenario(coming("90 s", "11 s")))
    # it leaves after 10 s, that is known after 21 s, and the server looks every 3 s
    assert found == [(True, 1, pytest.approx(30.0)), (False, 2, pytest.approx(30.0)), (5, GONE)]


def test_waiting_for_more_nodes_than_there_will_ever_be_ends_with_an_error(fleet):
    def main(grid, _):
        while len(grid.get_node_ids()) < 5:
            time.sleep(1)

    with pytest.raises(SimulationError, match="more than the 3 nodes"):
        run_app(server(main), echo_app(), fleet(3))


def test_a_run_is_cut_at_its_virtual_time_whatever_the_server_app_catches(fleet):
    def main(grid, _):
        while True:
            try:
                grid.send_and_receive(to_all(grid))
            except Exception:  # noqa: BLE001
                found.append("caught")

    found = []
    result = run_app(server(main), echo_app(), fleet(1, "stop: {virtual_time: 10 s}"))
    assert found == []
    assert 8.0 < result.summary["virtual_time"] <= 10.0


def test_an_exception_of_the_server_app_is_the_callers(fleet):
    def main(grid, _):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_app(server(main), echo_app(), fleet(1))


def test_a_client_app_whose_process_would_end_is_error_8(fleet):
    app, found = ClientApp(), []

    @app.train()
    def leave(message, context):
        raise SystemExit(3)

    @app.query()
    def nothing(message, context):
        return None

    def main(grid, _):
        found.extend(reply for kind in ("train", "query", "evaluate") for reply in grid.send_and_receive(to_all(grid, kind)))

    @app.evaluate()
    def back(message, context):
        return message

    run_app(server(main), app, fleet(1))
    assert [(reply.error.code, reply.error.reason) for reply in found] == [(8, "ClientApp stopped responding.")] * 3


def test_a_reply_whose_own_time_to_live_is_over_is_error_4(fleet):
    app, found = ClientApp(), []

    @app.train()
    def short(message, context):
        return Message(RecordDict(), reply_to=message, ttl=5.0)

    def main(grid, _):
        for seconds in (4, 6):
            ids = grid.push_messages(to_all(grid))
            time.sleep(seconds)
            found.extend(reply.error.code if reply.has_error() else None for reply in grid.pull_messages(ids))

    run_app(server(main), app, fleet(1))
    assert found == [None, 4]


def test_threads_of_a_server_app_take_turns_and_the_run_says_so(fleet):
    all_there = Barrier(3)

    def ask(grid, message):
        all_there.wait()
        return grid.send_and_receive([message])

    def main(grid, _):
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(ask, grid, message) for message in to_all(grid)]
            found.extend(one.result()[0].content["echo"]["type"] for one in asked)

    found = []
    result = run_app(server(main), echo_app(), fleet(3))
    assert found == ["train"] * 3
    assert any("threads of the server app" in note for note in result.notes)
