import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

import fedtiny.cli
from fedtiny.cli import main
from fedtiny.results.folder import read_run, read_status

TINY = """\
name: tiny
model: linear
data: {kind: digits, train_examples: 32}
training: {batch_size: 8, local_steps: 1}
strategy: fedavg
fleet:
  - {count: 2, device: {kind: custom, memory: 1 MB, step_time: 100 ms}, network: {kind: custom, latency: 10 ms}}
stop: {rounds: 2}
"""
COMMANDS = (
    "run",
    "sweep",
    "validate",
    "report",
    "memory",
    "contribution",
    "deploy",
    "design",
    "catalog",
    "schema",
    "init",
    "pretrain",
    "plan",
    "calibrate",
    "app",
)


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Path:
    """The tiny scenario, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY, encoding="utf-8")
    return Path("tiny.yaml")


@pytest.fixture
def fedtiny_says(capsys):
    """Runs a command line in this process: exit code, standard output, standard error."""

    def says(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return says


def process(*arguments, cwd):
    command = [sys.executable, "-m", "fedtiny", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)


# Help


def test_help_needs_no_heavy_library_and_names_every_command():
    heavy = {"flwr", "matplotlib", "numpy", "pyarrow", "pydantic", "simpy", "torch"}
    program = f"import sys; from fedtiny.cli import main; main(['--help']); print(sorted({heavy!r} & set(sys.modules)))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.5
    assert said.rstrip().endswith("[]")
    assert [command for command in COMMANDS if command not in said] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_an_example(command, fedtiny_says):
    code, out, _ = fedtiny_says(command, "--help")
    assert code == 0
    assert f"Example: fedtiny {command}" in out


def test_the_commands_are_the_promised_ones():
    assert sorted(command.name or command.callback.__name__ for command in fedtiny.cli.app.registered_commands) == sorted(COMMANDS)


def test_the_version_is_that_of_the_package(fedtiny_says):
    assert fedtiny_says("--version")[:2] == (0, "fedtiny 0.1.0\n")


# run


def test_run_writes_the_runs_folder_and_says_where_the_report_is(tiny, fedtiny_says):
    code, out, _ = fedtiny_says("run", tiny)
    assert code == 0
    assert "report: runs/tiny/report.html" in out
    assert read_run("runs/tiny").summary["rounds"] == 2
    assert Path("runs/tiny/report.html").is_file()


def test_run_takes_overrides_a_seed_and_a_folder(tiny, fedtiny_says):
    code, out, _ = fedtiny_says("run", tiny, "--set", "stop.rounds=1", "--set", "update=bias", "--seed", 7, "--out", "mine", "--quiet")
    assert (code, out) == (0, "")
    resolved = yaml.safe_load(Path("mine/scenario.yaml").read_text())
    assert (resolved["stop"]["rounds"], resolved["update"]["kind"], resolved["seed"]) == (1, "bias", 7)


def test_run_replaces_the_same_run_refuses_another_and_obeys_overwrite(tiny, fedtiny_says):
    assert fedtiny_says("run", tiny, "-q")[0] == 0
    assert fedtiny_says("run", tiny, "-q")[0] == 0
    code, _, err = fedtiny_says("run", tiny, "-q", "--seed", 1)
    assert code == 2
    assert "--overwrite" in err
    assert fedtiny_says("run", tiny, "-q", "--seed", 1, "--overwrite")[0] == 0
    assert read_run("runs/tiny").provenance["seed"] == 1


def test_run_refuses_resume_and_scenarios_with_axes(tiny, fedtiny_says):
    assert "--resume is not built yet" in fedtiny_says("run", tiny, "--resume")[2]
    code, _, err = fedtiny_says("run", tiny, "--set", "sweep={update: [full]}")
    assert code == 2
    assert "use `fedtiny sweep`" in err
    assert not Path("runs").exists()


def test_running_the_resolved_scenario_again_gives_the_same_run(tiny, fedtiny_says):
    fedtiny_says("run", tiny, "-q", "--out", "first", "--set", "data.partition={kind: dirichlet, alpha: 1}")
    code, _, _ = fedtiny_says("run", "first/scenario.yaml", "-q", "--out", "second")
    assert code == 0
    for name in ("scenario.yaml", "rounds.parquet", "activities.parquet", "devices.parquet", "model.safetensors", "report.html"):
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes(), name


def test_what_does_not_fit_is_an_input_error_at_the_fleets_line(tiny, fedtiny_says):
    for command in ("run", "validate"):
        code, _, err = fedtiny_says(command, tiny, "--set", "device.memory=1 kB")
        assert code == 2
        assert err.splitlines()[-1].startswith("fedtiny: tiny.yaml:7: fleet.0: training needs ")
    assert not Path("runs").exists()


def test_own_code_runs_only_when_it_is_allowed(tiny, fedtiny_says):
    Path("net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n        torch.nn.Module.__init__(self)\n"
        "        self.head = torch.nn.Linear(64, 10)\n    def forward(self, x):\n        return self.head(x.flatten(1))\n"
    )
    model = "model={kind: python, path: net.py, name: Net}"
    code, _, err = fedtiny_says("run", tiny, "-q", "--set", model)
    assert code == 2
    assert "--allow-code" in err
    assert fedtiny_says("run", tiny, "-q", "--set", model, "--allow-code")[0] == 0


def test_an_experiment_that_fails_ends_with_1_and_keeps_its_folder(tiny, fedtiny_says):
    code, _, err = fedtiny_says("run", tiny, "-q", "--set", "strategy.timeout=1 us")
    assert code == 1
    assert "none of the 2 devices" in err
    assert read_status("runs/tiny")["status"] == "failed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_130_and_its_folder_says_so(tiny, number, fedtiny_says):
    fedtiny_says("run", tiny, "-q", "--out", "warm")  # so that the interrupt comes while the run is running
    timer = threading.Timer(2, os.kill, (os.getpid(), number))
    timer.start()
    code, _, err = fedtiny_says("run", tiny, "-q", "--set", "stop={virtual_time: 10000 h}")
    timer.join()
    assert (code, err.strip()) == (130, "fedtiny: interrupted")
    assert read_status("runs/tiny")["status"] == "interrupted"


# sweep and report


def test_sweep_runs_every_combination_and_draws_one_report(tiny, fedtiny_says):
    code, out, err = fedtiny_says("sweep", tiny, "--axis", "device.memory=1 kB,1 MB", "--seeds", 2, "--workers", 1, "--out", "s")
    assert (code, out.count("infeasible"), out.count("done")) == (0, 2, 2)
    assert "report: s/report.html" in out
    assert {path.name for path in Path("s").iterdir()} >= {"sweep.json", "cells.parquet", "cells", "report.html"}
    assert "training needs" in err


def test_a_sweep_with_an_objective_is_a_search(tiny, fedtiny_says):
    pytest.importorskip("optuna")
    words = ("sweep", tiny, "--optimize", "loss", "--axis", "update=full,last", "--trials", 9, "--workers", 1, "--out", "s")
    code, out, _ = fedtiny_says(*words)
    assert (code, out.count("done")) == (0, 2)
    assert "The lowest final loss is" in out
    assert "All 2 combinations of update tried, so there is no better one" in out
    assert "akiba2019optuna" in Path("s/citations.bib").read_text(encoding="utf-8")
    assert Path("s/figures/search_progress.svg").exists()


def test_a_sweep_with_a_cell_that_fails_goes_on_and_ends_with_1(tiny, fedtiny_says):
    code, out, err = fedtiny_says("sweep", tiny, "--axis", "strategy.timeout=1 us,1 h", "--workers", 1)
    assert code == 1
    assert (out.count("failed"), out.count("done")) == (1, 1)
    assert "some cells failed" in err


def test_a_wrong_cell_ends_a_sweep_before_it_begins(tiny, fedtiny_says):
    code, _, err = fedtiny_says("sweep", tiny, "--axis", "update=full,ful")
    assert code == 2
    assert err.startswith("fedtiny: --axis update=full,ful: update.kind: unknown kind 'ful': did you mean 'full'?")


def test_report_draws_one_run_again_and_several_side_by_side(tiny, fedtiny_says):
    fedtiny_says("run", tiny, "-q", "--out", "a")
    fedtiny_says("run", tiny, "-q", "--out", "b", "--set", "update=bias")
    before = Path("a/report.html").read_bytes()
    Path("a/report.html").unlink()
    assert fedtiny_says("report", "a")[:2] == (0, "report: a/report.html\n")
    assert Path("a/report.html").read_bytes() == before
    assert fedtiny_says("report", "a", "b")[:2] == (0, "report: runs/comparison/report.html\n")
    assert fedtiny_says("report", "a", "--style", "paper")[0] == 0
    assert Path("a/report.html").read_bytes() == before
    assert Path("a/figures/paper/memory.pdf").is_file()
    code, _, err = fedtiny_says("report", "nowhere")
    assert (code, "nowhere" in err) == (2, True)


# validate


def test_validate_says_that_a_scenario_is_valid_and_writes_nothing(tiny, fedtiny_says):
    assert fedtiny_says("validate", tiny)[:2] == (0, "tiny.yaml: 2 x custom (1 MB): full fits with 4.968 kB\ntiny.yaml: valid\n")
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]


def test_validate_warns_of_a_frozen_random_network(tiny, fedtiny_says):
    code, _, err = fedtiny_says("validate", tiny, "--set", "model=small_cnn", "--set", "update=last")
    assert code == 0
    assert "tiny.yaml: warning: " in err


def test_validate_of_a_sweep_asks_for_its_words_only(tiny, fedtiny_says):
    axes = "sweep={device.memory: [1 kB, 1 MB], update: [full, last]}"
    assert fedtiny_says("validate", tiny, "--set", axes)[:2] == (0, "tiny.yaml: valid, a sweep of 4 runs\n")
    code, _, err = fedtiny_says("validate", tiny, "--set", "sweep={update: [ful]}")
    assert code == 2
    assert "unknown kind 'ful'" in err


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in itertools.pairwise("abcdefghij")
)
WRONG_FILES = {
    "empty.yaml": b"",
    "list.yaml": b"- a\n- b\n",
    "binary.yaml": bytes(range(256)),
    "bomb.yaml": BOMB.encode(),
    "deep.yaml": b"[" * 10_000,
    "broken.yaml": b"name: [1, 2\nmodel: linear\n",
    "typo.yaml": TINY.replace("fleet", "fleeet").encode(),
    "unit.yaml": TINY.replace("10 ms", "10").encode(),
    "device.yaml": TINY.replace("{kind: custom, memory: 1 MB, step_time: 100 ms}", "rapsberry_pi_4").encode(),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_file_is_one_line_with_its_place_and_exit_code_2(name, tmp_path, monkeypatch, fedtiny_says):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(WRONG_FILES[name])
    for command in ("validate", "run", "sweep", "pretrain"):
        code, out, err = fedtiny_says(command, name, *(["--out", "x"] if command == "pretrain" else []))
        assert (code, out) == (2, "")
        assert err.startswith(f"fedtiny: {name}:")
        assert err[len(f"fedtiny: {name}:")].isdecimal()
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("validate", "."), ("validate", "missing.yaml"), ("run", "bomb.yaml"), ("run", "deep.yaml"), ("nonsense",), ("run",)]
)
def test_no_error_of_the_input_shows_a_traceback(arguments, tmp_path):
    for name in ("bomb.yaml", "deep.yaml"):
        (tmp_path / name).write_bytes(WRONG_FILES[name])
    done = process(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


# The others


def test_memory_shows_a_table_or_one_json_document(fedtiny_says, tmp_path):
    code, out, _ = fedtiny_says("memory", "mcunet_5fps", "--input", "3,32,32")
    assert code == 0
    schemes = [line.split()[0] for line in out.splitlines() if line.strip()][-11:]
    assert schemes[:6] == ["full", "last", "norm_last", "bias", "tinytl_lite_residual", "tinytl"]
    assert schemes[6:] == [f"mcunet_5fps_{label}" for label in ("49kb", "74kb", "99kb", "124kb", "148kb")]
    assert all(accounting in out for accounting in ("tinytl", "mcu", "autograd"))
    code, out, _ = fedtiny_says(
        "memory", "mcunet_5fps", "--input", "3,32,32", "--batch-size", 2, "--json", "--no-lite-residual", "--update", "bias"
    )
    document = json.loads(out)
    assert (code, document["batch_size"], document["schemes"][0]["update"], document["schemes"][0]["lite_residual"]) == (
        0,
        2,
        "bias",
        False,
    )
    assert fedtiny_says("memory", "linear", "--accounting", "hearsay")[0] == 2
    code, out, _ = fedtiny_says(
        "memory", "linear", "--input", "3,8,8", "--update", "full", "--accounting", "autograd", "--plot", tmp_path / "step.svg"
    )
    assert (code, out.splitlines()[-1]) == (0, f"plot: {tmp_path / 'step.svg'}")


@pytest.mark.parametrize("family", ["devices", "networks", "mixes", "models", "datasets", "partitions", "updates", "strategies"])
def test_catalog_lists_a_family_as_a_table_or_as_json(family, fedtiny_says):
    code, out, _ = fedtiny_says("catalog", family, "--json")
    document = json.loads(out)
    name = list(document)[-1]
    assert code == 0
    assert all(entry in fedtiny_says("catalog", family)[1] for entry in document)
    assert json.loads(fedtiny_says("catalog", family, name, "--json")[1]) == document[name]
    assert yaml.safe_load(fedtiny_says("catalog", family, name)[1]) == document[name]
    assert fedtiny_says("catalog", family, "nothing_of_that_name")[0] == 2


def test_schema_is_one_json_document(fedtiny_says):
    assert json.loads(fedtiny_says("schema")[1])["title"] == "Scenario"


def test_init_writes_a_scenario_that_runs_and_replaces_none(tmp_path, monkeypatch, fedtiny_says):
    monkeypatch.chdir(tmp_path)
    assert fedtiny_says("init", "first")[:2] == (0, "wrote first.yaml\n")
    assert fedtiny_says("run", "first.yaml", "-q", "--set", "stop.rounds=1")[0] == 0
    assert fedtiny_says("init", "first")[0] == 2


def test_pretrain_writes_a_checkpoint_that_a_scenario_can_start_from(tiny, tmp_path, monkeypatch, fedtiny_says):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trained = "model={kind: linear, pretrained: {steps: 20}}"
    assert fedtiny_says("pretrain", tiny, "--out", "start.safetensors", "--set", trained, "-q")[:2] == (0, "")
    assert fedtiny_says("run", tiny, "-q", "--set", "model={kind: linear, pretrained: start.safetensors}", "--set", "stop.rounds=0")[0] == 0
    assert fedtiny_says("run", tiny, "-q", "--out", "runs/other", "--set", trained, "--set", "stop.rounds=0")[0] == 0
    ours, theirs = read_run("runs/tiny"), read_run("runs/other")
    assert all((ours.model[name] == theirs.model[name]).all() for name in ours.model)
