from fedtiny.results.folder import read_status
from fedtiny.scenario.files import load_scenario
from fedtiny.sweeps.cell import Job, check_cell, lost_cell, run_cell


def job(tiny, tmp_path, **overrides):
    return Job("a1", load_scenario(tiny(), overrides), tmp_path / "cell")


def test_a_cell_is_feasible_infeasible_or_wrong(tiny, tmp_path):
    assert check_cell(job(tiny, tmp_path)).status == "feasible"
    infeasible = check_cell(job(tiny, tmp_path, device={"memory": "1 kB"}))
    assert (infeasible.status, infeasible.path) == ("infeasible", ("fleet", 0))
    assert "training needs" in infeasible.reason
    wrong = check_cell(job(tiny, tmp_path, update="tinytl"))
    assert (wrong.status, wrong.path) == ("wrong", ("model",))


def test_a_cell_that_ran_gives_the_summary_of_its_run(tiny, tmp_path):
    outcome = run_cell(job(tiny, tmp_path))
    assert (outcome.cell, outcome.status, outcome.summary["rounds"]) == ("a1", "done", 2)
    assert read_status(tmp_path / "cell")["summary"] == outcome.summary


def test_a_cell_that_fails_gives_the_reason(tiny, tmp_path):
    (tmp_path / "cell").mkdir()
    (tmp_path / "cell" / "mine.txt").write_text("mine")
    outcome = run_cell(job(tiny, tmp_path))
    assert outcome.status == "failed"
    assert "which FedTiny does not replace" in outcome.reason


def test_a_cell_whose_process_died_has_failed(tiny, tmp_path):
    assert lost_cell(job(tiny, tmp_path)).status == "failed"
