import json

import pytest
import torch

from fedtiny.errors import ClientError, FolderError, InfeasibleError
from fedtiny.results.folder import is_same_scenario, read_run, read_status
from fedtiny.scenario.files import load_scenario, resolved_yaml
from fedtiny.sweeps.run_folder import reason_of, run_into


class Explodes(torch.nn.Module):
    """A network that can be measured, and fails when it is trained."""

    def __init__(self, classes):
        torch.nn.Module.__init__(self)
        self.head = torch.nn.Linear(64, classes)
        self.passes = 0

    def forward(self, inputs):
        if self.training and len(inputs) > 1 and torch.is_grad_enabled():
            raise RuntimeError("out of luck")
        return self.head(inputs.flatten(1))


def test_a_run_is_written_and_a_finished_run_of_the_same_scenario_is_replaced(tiny, tmp_path):
    scenario = load_scenario(tiny())
    first = run_into(tmp_path / "run", scenario)
    assert read_run(tmp_path / "run").summary == first.summary
    run_into(tmp_path / "run", scenario)
    written = (tmp_path / "run" / "scenario.yaml").read_text()
    assert written != resolved_yaml(scenario), "the run states how its clients were trained"
    assert is_same_scenario(written, resolved_yaml(scenario))


def test_another_run_is_replaced_only_when_that_is_wanted(tiny, tmp_path):
    run_into(tmp_path / "run", load_scenario(tiny()))
    other = load_scenario(tiny(), {"seed": 1})
    with pytest.raises(FolderError, match="--overwrite"):
        run_into(tmp_path / "run", other)
    run_into(tmp_path / "run", other, overwrite=True)
    assert "seed: 1" in (tmp_path / "run" / "scenario.yaml").read_text()


def test_what_is_no_run_is_never_replaced(tiny, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(FolderError):
        run_into(tmp_path / "notes", load_scenario(tiny()), overwrite=True)
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_found_before_the_run(tiny, tmp_path):
    def never(progress):
        raise AssertionError("it ran")

    with pytest.raises(FolderError, match="because of"):
        run_into(tiny() / "run", load_scenario(tiny()), progress=never)


def test_a_scenario_that_cannot_run_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(InfeasibleError):
        run_into(tmp_path / "run", load_scenario(tiny(), {"device.memory": "1 kB"}))
    assert not (tmp_path / "run").exists()


def test_a_run_that_fails_leaves_its_reason_and_may_be_run_again(tiny, tmp_path):
    scenario = load_scenario(tiny(), model=Explodes)
    for _ in range(2):
        with pytest.raises(ClientError):
            run_into(tmp_path / "run", scenario)
        status = read_status(tmp_path / "run")
        assert status["status"] == "failed"
        assert "out of luck" in status["reason"]


def test_a_run_that_is_interrupted_says_so_and_may_be_run_again(tiny, tmp_path):
    scenario = load_scenario(tiny())

    def interrupt(progress):
        if progress.phase == "rounds" and progress.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path / "run", scenario, progress=interrupt)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    run_into(tmp_path / "run", scenario)
    assert read_status(tmp_path / "run")["status"] == "done"


def test_an_error_that_nobody_foresaw_keeps_its_traceback():
    assert reason_of(FolderError("choose another")) == "choose another"
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    assert "test_run_folder.py" in reason_of(caught.value)
