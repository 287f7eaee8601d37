"""What a run of an app leaves: tables, a folder, where costs come from, and the same bytes twice."""

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from torch import nn

import fedtiny
from fedtiny.apps.run import run_app
from fedtiny.errors import InfeasibleError, ScenarioError

FAST = """
name: fast
fleet: [{count: 2, device: {kind: custom, memory: MEMORY, rates: {dense_gemm: 1e6 MAC/s, dense_convolution: 1e6 MAC/s, depthwise: 1e6 MAC/s,
  recurrent: 1e6 MAC/s}, power: {idle: 1 W, active: 3 W}}, network: {kind: custom, latency: 0 ms}}]
"""


def server(main):
    app = ServerApp()
    app.main()(main)
    return app


def ask(kind="train", content=None):
    def main(grid, context):
        grid.send_and_receive([Message(content or RecordDict(), node, kind) for node in grid.get_node_ids()])

    return server(main)


def linear_app(steps=4):
    app = ClientApp()

    @app.train()
    def train(message, context):
        network, batch = nn.Linear(100, 10), torch.randn(50, 100)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(steps):
            optimizer.zero_grad()
            network(batch).square().mean().backward()
            optimizer.step()
        return Message(RecordDict({"arrays": ArrayRecord(network.state_dict())}), reply_to=message)

    return app


def reporting_app(**numbers):
    app = ClientApp()

    @app.train()
    @app.evaluate()
    def work(message, context):
        return Message(RecordDict({"metrics": MetricRecord({f"fedtiny.{key}": value for key, value in numbers.items()})}), reply_to=message)

    return app


def work_seconds(result, kind="train"):
    return [row["end"] - row["start"] for row in result.activities.to_pylist() if row["kind"] == kind]


def test_work_is_counted_in_multiply_accumulates_at_the_devices_rate(scenario):
    result = run_app(ask(), linear_app(), scenario(FAST.replace("MEMORY", "1 GB")))
    macs = 4 * 2 * 50 * 100 * 10
    assert work_seconds(result) == pytest.approx([macs / 1e6] * 2)
    assert [row["macs"] for row in result.activities.to_pylist() if row["kind"] == "train"] == [macs] * 2
    assert (result.summary["work_counted"], result.summary["work_host_time"]) == (2, 0)
    assert any("2 counted" in note for note in result.notes)


def test_what_the_app_reports_goes_before_what_is_counted_and_declared(scenario):
    text = FAST.replace("MEMORY", "1 GB") + "app: {work: {train: {seconds: 9 s, memory: 2 MB}}}"
    assert work_seconds(run_app(ask(), reporting_app(seconds=0.25), scenario(text))) == [0.25] * 2
    assert work_seconds(run_app(ask(), reporting_app(macs=5e5), scenario(text))) == pytest.approx([0.5] * 2)
    result = run_app(ask(), reporting_app(memory=123456), scenario(text))
    assert work_seconds(result) == [9.0] * 2, "memory alone says nothing of time"
    assert result.devices["peak_memory"].to_pylist() == [123456] * 2


def test_what_is_counted_goes_before_what_is_declared_unless_it_is_not_to_be_counted(scenario):
    text = FAST.replace("MEMORY", "1 GB") + "app: {count: COUNT, work: {train: {seconds: 9 s}}}"
    assert work_seconds(run_app(ask(), linear_app(), scenario(text.replace("COUNT", "true")))) == pytest.approx([0.4] * 2)
    result = run_app(ask(), linear_app(), scenario(text.replace("COUNT", "false")))
    assert work_seconds(result) == [9.0] * 2
    assert result.summary["work_declared"] == 2


def test_an_action_may_cost_something_else_than_its_category(scenario):
    text = FAST.replace("MEMORY", "1 GB") + "app: {work: {train: {seconds: 9 s}, train.small: {macs: 1e6}}}"
    app = ClientApp()

    @app.train("small")
    @app.train("large")
    def work(message, context):
        return Message(RecordDict(), reply_to=message)

    assert work_seconds(run_app(ask("train.small"), app, scenario(text))) == [1.0] * 2
    assert work_seconds(run_app(ask("train.large"), app, scenario(text))) == [9.0] * 2


def test_steps_are_counted_for_devices_with_a_step_time(scenario):
    text = "name: a\nfleet: [{count: 1, device: {kind: custom, memory: 1 GB, step_time: 2 s}, network: {kind: custom, latency: 0 ms}}]"
    assert work_seconds(run_app(ask(), linear_app(steps=3), scenario(text))) == [6.0]


def test_what_nobody_knows_takes_the_hosts_time_and_the_run_says_so(scenario):
    text = FAST.replace("MEMORY", "1 GB")
    result = run_app(ask(), reporting_app(), scenario(text))
    assert result.summary["work_host_time"] == 2
    assert all(0.0 < seconds < 1.0 for seconds in work_seconds(result))
    assert any("two runs of this scenario differ" in note for note in result.notes)
    assert work_seconds(run_app(ask(), reporting_app(), scenario(text + "app: {host_time_factor: 0}"))) == []


def test_evaluation_is_an_activity_of_its_own(scenario):
    result = run_app(ask("evaluate"), reporting_app(seconds=1.0), scenario(FAST.replace("MEMORY", "1 GB")))
    assert work_seconds(result, "evaluate") == [1.0] * 2
    assert work_seconds(result) == []


def test_memory_is_counted_and_what_does_not_fit_is_flowers_error_of_a_killed_client(scenario):
    found = []

    def main(grid, context):
        found.extend(grid.send_and_receive([Message(RecordDict(), node, "train") for node in grid.get_node_ids()]))

    # 1010 parameters and their gradients, the batch and the output of a step
    needed = 4 * (2 * 1010 + 50 * 100 + 50 * 10)
    result = run_app(server(main), linear_app(), scenario(FAST.replace("MEMORY", f"{needed} B")))
    assert [reply.has_error() for reply in found] == [False, False]
    assert result.devices["peak_memory"].to_pylist() == [needed] * 2
    found.clear()
    result = run_app(server(main), linear_app(), scenario(FAST.replace("MEMORY", f"{needed - 1} B")))
    assert [(reply.error.code, reply.error.reason) for reply in found] == [(8, "ClientApp stopped responding.")] * 2
    assert result.devices["status"].to_pylist() == ["excluded"] * 2
    assert any("did not fit the memory" in note for note in result.notes)


def test_what_does_not_fit_ends_the_run_where_the_scenario_says_so(scenario):
    def main(grid, context):
        try:
            grid.send_and_receive([Message(RecordDict(), node, "train") for node in grid.get_node_ids()])
        except Exception:  # noqa: BLE001
            found.append("caught")

    found = []
    with pytest.raises(InfeasibleError, match=r"needs \d+ bytes but device 0 \(custom\) offers 1000"):
        run_app(server(main), linear_app(), scenario(FAST.replace("MEMORY", "1 kB") + "on_out_of_memory: fail"))
    assert found == []


def test_work_that_does_not_take_hooks_on_saved_tensors_is_done_again_without_them(scenario):
    app = ClientApp()

    @app.train()
    def train(message, context):
        context.state["n"] = ConfigRecord({"n": context.state["n"]["n"] + 1 if "n" in context.state else 1})
        assert "seen" not in message.content
        message.content["seen"] = ConfigRecord({"by": True})
        gradient = torch.func.grad(lambda weights: (torch.randn(8, 4) @ weights).sum())(torch.ones(4, 3))
        return Message(
            RecordDict({"arrays": ArrayRecord([gradient.numpy()]), "n": MetricRecord({"n": context.state["n"]["n"]})}), reply_to=message
        )

    found = []

    def main(grid, context):
        found.extend(grid.send_and_receive([Message(RecordDict(), node, "train") for node in grid.get_node_ids()]))

    result = run_app(server(main), app, scenario(FAST.replace("MEMORY", "1 GB")))
    assert [reply.content["n"]["n"] for reply in found] == [1, 1], "done again from where it was"
    assert result.summary["work_counted"] == 2


def fedavg(rounds=2, **options):
    def main(grid, context):
        FedAvg(**options).start(grid=grid, initial_arrays=ArrayRecord([np.zeros(3)]), num_rounds=rounds)

    return server(main)


def random_app():
    """An app that draws from every global generator without seeding any."""
    import random

    app = ClientApp()

    @app.train()
    def train(message, context):
        drawn = np.array([random.random(), np.random.rand(), float(torch.rand(()))])
        (weights,) = message.content["arrays"].to_numpy_ndarrays()
        metrics = MetricRecord({"num-examples": 5, "fedtiny.seconds": 1.0})
        return Message(RecordDict({"arrays": ArrayRecord([weights + drawn]), "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message, context):
        number = context.node_config["partition-id"]
        metrics = MetricRecord({"num-examples": 1 + 2 * number, "accuracy": 0.5 + number / 4, "loss": 2.0, "fedtiny.seconds": 0.5})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def test_rounds_are_those_that_the_messages_state_and_quality_is_what_clients_say(fleet):
    result = run_app(fedavg(rounds=3), random_app(), fleet(2))
    rounds = result.rounds.to_pylist()
    assert [row["round"] for row in rounds] == [0, 1, 2, 3]
    assert [row["accuracy"] for row in rounds] == [None, *[pytest.approx((1 * 0.5 + 3 * 0.75) / 4)] * 3]
    assert [row["loss"] for row in rounds] == [None, 2.0, 2.0, 2.0]
    assert [row["participants"] for row in rounds] == [0, 2, 2, 2]
    assert rounds[3]["virtual_time"] == pytest.approx(3 * rounds[1]["virtual_time"])
    assert result.summary["accuracy"] == rounds[3]["accuracy"]
    assert result.devices["examples"].to_pylist() == [5, 5]


def test_rounds_without_a_number_are_waves_of_messages(fleet):
    def main(grid, context):
        for kind in ("query", "train", "query"):
            grid.send_and_receive([Message(RecordDict(), node, kind) for node in grid.get_node_ids()])

    app = ClientApp()

    @app.train()
    @app.query()
    def work(message, context):
        return Message(RecordDict(), reply_to=message)

    result = run_app(server(main), app, fleet(2))
    assert result.rounds["round"].to_pylist() == [0, 1, 2, 3]
    assert result.rounds["virtual_time"].to_pylist() == pytest.approx([0.0, 0.2, 2.4, 2.6], abs=1e-3)
    assert result.rounds["accuracy"].to_pylist() == [None] * 4


def test_bytes_are_what_the_records_count(fleet):
    def main(grid, context):
        content.append(RecordDict({"arrays": ArrayRecord([np.zeros(100)])}))
        grid.send_and_receive([Message(content[0], node, "train") for node in grid.get_node_ids()])

    content, app = [], ClientApp()

    @app.train()
    def work(message, context):
        return Message(RecordDict({"metrics": MetricRecord({"a": 1})}), reply_to=message)

    result = run_app(server(main), app, fleet(3))
    sent = sum(record.count_bytes() for record in content[0].values())
    assert result.summary["bytes_down"] == 3 * sent
    downloads = [row for row in result.activities.to_pylist() if row["kind"] == "download"]
    assert {(row["bytes"], row["payload_bytes"]) for row in downloads} == {(sent, 800)}


def test_an_app_that_seeds_nothing_gives_the_same_bytes_twice_and_others_with_another_seed(fleet, tmp_path):
    for number, seed in enumerate((3, 3, 4)):
        result = run_app(fedavg(fraction_train=0.5), random_app(), fleet(4, f"seed: {seed}"))
        fedtiny.write_run(result, tmp_path / str(number))
    names = sorted(path.name for path in (tmp_path / "0").iterdir())
    contents = [{name: (tmp_path / str(run) / name).read_bytes() for name in names if name != "run.json"} for run in range(3)]
    assert contents[0] == contents[1]
    assert contents[0]["model.safetensors"] != contents[2]["model.safetensors"]


def test_what_a_device_draws_depends_on_no_other_device_and_on_no_server(fleet):
    def drawn(devices, draws):
        def main(grid, context):
            np.random.rand(draws)
            messages = [Message(RecordDict({"arrays": ArrayRecord([np.zeros(3)])}), node, "train") for node in grid.get_node_ids()]
            replies = grid.send_and_receive(messages)
            found.extend(reply.content["arrays"].to_numpy_ndarrays()[0].tolist() for reply in replies)

        found = []
        run_app(server(main), random_app(), fleet(devices))
        return found

    few, many = drawn(2, 0), drawn(4, 7)
    assert many[:2] == few
    assert len({tuple(own) for own in many}) == 4


def test_a_run_is_read_back_and_reported(fleet, tmp_path):
    result = run_app(fedavg(), random_app(), fleet(2))
    fedtiny.write_run(result, tmp_path / "run")
    fedtiny.write_report([tmp_path / "run"], tmp_path / "run")
    read = fedtiny.read_run(tmp_path / "run")
    assert read.rounds.equals(result.rounds)
    assert read.model.keys() == {"0"}
    assert "What the app" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_the_scenario_of_a_run_is_resolved_and_read_again(fleet, tmp_path):
    result = run_app(fedavg(), random_app(), fleet(2))
    (tmp_path / "again.yaml").write_text(result.scenario_yaml, encoding="utf-8")
    assert isinstance(fedtiny.load_scenario(tmp_path / "again.yaml"), fedtiny.AppScenario)
    again = run_app(fedavg(), random_app(), tmp_path / "again.yaml")
    assert again.rounds.equals(result.rounds)


def test_a_scenario_of_fedtinys_own_training_is_refused(tmp_path):
    fleet = "fleet: [{count: 1, device: raspberry_pi_4, network: lte_driving}]"
    text = f"name: a\nmodel: linear\ndata: digits\nstrategy: fedavg\n{fleet}\nstop: {{rounds: 1}}"
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    for scenario in (fedtiny.load_scenario(tmp_path / "own.yaml"), tmp_path / "own.yaml"):
        with pytest.raises(ScenarioError, match="leave"):
            run_app(fedavg(), random_app(), scenario)


def test_run_refuses_the_scenario_of_an_app_and_names_run_app(fleet):
    with pytest.raises(ScenarioError, match="run_app"):
        fedtiny.run(fleet(1))


def test_a_population_is_a_fleet_too(scenario):
    text = """
name: many
fleet: {kind: population, count: 1000, members: [{share: 1, device: raspberry_pi_4, network: lte_driving}]}
app: {work: {train: {seconds: 1 s}}}
"""

    def main(grid, context):
        nodes = grid.get_node_ids()
        found.append(len(nodes))
        grid.send_and_receive([Message(RecordDict(), node, "train") for node in nodes[:5]])

    found = []
    result = run_app(server(main), reporting_app(), scenario(text))
    assert found == [1000]
    assert result.devices["device"].to_pylist() == [0, 1, 2, 3, 4]
