"""`fedtiny app` and what `fedtiny validate` says of its scenarios."""

import json

import pytest

from fedtiny.cli import main

CLIENT = """
from flwr.app import Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def ask(message, context):
    return Message(RecordDict({"m": MetricRecord({"fedtiny.seconds": context.run_config["seconds"]})}), reply_to=message)
"""
SERVER = """
from flwr.app import Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    print("the server app begins")
    if context.run_config["fails"]:
        raise RuntimeError("as it was told")
    grid.send_and_receive([Message(RecordDict(), node, "query") for node in grid.get_node_ids()])
"""
PROJECT = """
[project]
name = "asking"
version = "1.0.0"
[tool.flwr.app.components]
serverapp = "asking.server_app:app"
clientapp = "asking.client_app:app"
[tool.flwr.app.config]
seconds = 2.0
fails = false
"""
FLEET = "name: asked\nfleet: [{count: 2, device: raspberry_pi_4, network: {kind: custom, latency: 500 ms}}]\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "app" / "asking").mkdir(parents=True)
    (tmp_path / "app" / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    for name, text in (("__init__", ""), ("client_app", CLIENT), ("server_app", SERVER)):
        (tmp_path / "app" / "asking" / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_json(folder, name="asked"):
    return json.loads((folder / "runs" / name / "run.json").read_text(encoding="utf-8"))


def test_an_app_leaves_a_folder_like_any_run(folder, capsys):
    assert main(["app", "app", "fleet.yaml", "--run-config", "seconds=4.0"]) == 0
    run = run_json(folder)
    assert run["status"] == "done"
    assert run["summary"]["virtual_time"] == pytest.approx(5.0, abs=1e-2)
    assert (run["summary"]["work_reported"], run["provenance"]["app"]) == (2, "asking")
    assert run["provenance"]["run_config"] == {"seconds": 4.0, "fails": False}
    assert {path.name for path in (folder / "runs" / "asked").iterdir()} >= {
        "report.html",
        "rounds.parquet",
        "timeline.json",
        "scenario.yaml",
    }
    assert "2 reported" in capsys.readouterr().out


def test_it_says_that_it_executes_code_before_it_does(folder, capfd):
    (folder / "app" / "asking" / "server_app.py").write_text("import os\nos.write(2, b'EXECUTED')\n" + SERVER, encoding="utf-8")
    assert main(["app", "app", "fleet.yaml", "--quiet"]) == 0
    told = capfd.readouterr().err
    assert told.index("executes the code") < told.index("EXECUTED")


def test_a_server_app_that_fails_ends_with_1_and_the_folder_says_why(folder, capsys):
    assert main(["app", "app", "fleet.yaml", "-c", "fails=true"]) == 1
    assert "raised RuntimeError: as it was told" in capsys.readouterr().err
    assert (run_json(folder)["status"], "as it was told" in run_json(folder)["reason"]) == ("failed", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["app", "nowhere", "fleet.yaml"], "no pyproject.toml"),
        (["app", "app", "fleet.yaml", "-c", "second=1.0"], "did you mean 'seconds'"),
        (["app", "app", "fleet.yaml", "--set", "strategy=fedavg"], "has no strategy"),
        (["app", "app", "fleet.yaml", "--set", "stop.rounds=3"], "stop takes virtual_time only"),
        (["app", "app", "fleet.yaml", "--set", "fleet.0.device=toaster"], "toaster"),
    ],
)
def test_what_is_wrong_with_the_input_ends_with_2_and_leaves_no_folder(folder, capsys, words, message):
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "runs").exists()


def test_another_scenarios_run_is_replaced_only_with_overwrite(folder):
    assert main(["app", "app", "fleet.yaml"]) == 0
    assert main(["app", "app", "fleet.yaml", "--seed", "3"]) == 2
    assert main(["app", "app", "fleet.yaml", "--seed", "3", "--overwrite"]) == 0
    assert run_json(folder)["provenance"]["seed"] == 3


def test_a_run_is_cut_where_the_scenario_says(folder):
    assert main(["app", "app", "fleet.yaml", "--set", "stop={virtual_time: 700 ms}"]) == 0
    assert run_json(folder)["summary"]["virtual_time"] == pytest.approx(0.7)


def test_validate_knows_scenarios_for_apps(folder, capsys):
    assert main(["validate", "fleet.yaml"]) == 0
    assert "valid for `fedtiny app`, 2 devices" in capsys.readouterr().out
    assert main(["validate", "fleet.yaml", "--set", "app.work.train={seconds: 3}"]) == 2
    assert "app.work.train.seconds" in capsys.readouterr().err


def test_run_asks_for_what_an_apps_scenario_lacks(folder, capsys):
    assert main(["run", "fleet.yaml"]) == 2
    assert "model" in capsys.readouterr().err


def test_the_help_has_an_example_and_says_that_code_is_executed(capsys):
    assert main(["app", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "executes the app's code" in shown
    assert "Example: fedtiny app my_flower_app fleet.yaml" in shown
