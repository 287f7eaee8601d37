import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from fedtiny.errors import FolderError
from fedtiny.results import files
from fedtiny.results.folder import check_replaceable, read_run, read_status, write_run, write_status
from fedtiny.results.record import HOST_FIELDS, ROUNDS

FILES = {
    *("scenario.yaml", "run.json", "rounds.parquet", "activities.parquet", "devices.parquet", "labels.parquet"),
    *("model.safetensors", "timeline.json", "critical_path.parquet"),
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_is_read_back_as_it_was_written(run, tmp_path):
    found = read_run(write_run(run, tmp_path / "deep" / "run"))
    assert {path.name for path in (tmp_path / "deep" / "run").iterdir()} == FILES
    for table in ("rounds", "activities", "devices", "labels"):
        before, after = getattr(run, table), getattr(found, table)
        assert after.schema == before.schema
        assert str(after.to_pylist()) == str(before.to_pylist())
    assert {name: array.tolist() for name, array in found.model.items()} == {name: array.tolist() for name, array in run.model.items()}
    assert found.model["weight"].dtype == np.float32
    assert found.model["scale"].shape == ()
    for key in ("name", "status", "scenario_yaml", "provenance", "citations", "notes", "memory"):
        assert getattr(found, key) == getattr(run, key)


def test_numbers_that_are_not_finite_are_null_in_run_json(run, tmp_path):
    assert read_run(write_run(run, tmp_path / "run")).summary == {"rounds": 3, "accuracy": 0.5, "loss": None, "target_accuracy": None}


def test_a_run_without_a_model_is_written_too(run, tmp_path):
    assert read_run(write_run(replace(run, model={}), tmp_path / "run")).model == {}


def test_the_same_run_gives_the_same_bytes_but_for_the_host_fields(run, with_host, tmp_path):
    first = contents(write_run(with_host(run, 1.0), tmp_path / "a"))
    chunked = replace(run, activities=pa.concat_tables([run.activities.slice(0, 2), run.activities.slice(2)]))
    second = contents(write_run(with_host(chunked, 2.0), tmp_path / "b"))
    documents = [json.loads(found.pop("run.json")) for found in (first, second)]
    assert first == second
    assert documents[0] != documents[1]
    for document in documents:
        for field in HOST_FIELDS:
            del document["provenance"][field]
    assert documents[0] == documents[1]


def test_a_run_takes_the_place_of_another_whole(run, tmp_path):
    folder = write_run(run, tmp_path / "run")
    (folder / "report.html").write_text("old")
    (folder / "my notes.txt").write_text("mine")
    write_run(replace(run, name="second"), folder)
    assert read_run(folder).name == "second"
    assert not (folder / "report.html").exists()
    assert (folder / "my notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_that_cannot_be_written_leaves_the_old_one(run, tmp_path, monkeypatch):
    folder = write_run(run, tmp_path / "run")
    before = contents(folder)
    monkeypatch.setattr(files, "_swap", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(FolderError, match="No space left"):
        write_run(replace(run, name="second"), folder)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_whose_swap_is_interrupted_half_way_puts_the_old_one_back(run, tmp_path, monkeypatch):
    folder = write_run(run, tmp_path / "run")
    before, rename = contents(folder), type(folder).rename

    def interrupted(path, target):
        if path.suffix == ".new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_run(replace(run, name="second"), folder)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_table_with_other_columns_is_refused_before_anything_is_written(run, tmp_path):
    with pytest.raises(ValueError, match="must have the columns"):
        write_run(replace(run, rounds=run.rounds.drop_columns(["loss"])), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_not_a_run_is_never_replaced(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderError, match="not a run, which FedTiny does not replace"):
        write_run(run, tmp_path)
    with pytest.raises(FolderError, match="not a run, which FedTiny does not replace"):
        check_replaceable(tmp_path, "name: small\n", overwrite=True)
    with pytest.raises(FolderError, match="is a file"):
        write_run(run, tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_may_be_written_to(run, tmp_path):
    (tmp_path / "run").mkdir()
    assert read_run(write_run(run, tmp_path / "run")).name == "small"


def test_a_failed_run_leaves_its_status_and_says_why(tmp_path):
    folder = write_status(tmp_path / "run", "failed", name="small", scenario_yaml="name: small\n", reason="device 3 answered NaN")
    assert read_status(folder)["status"] == "failed"
    assert {path.name for path in folder.iterdir()} == {"scenario.yaml", "run.json"}
    with pytest.raises(FolderError, match="status is failed: device 3 answered NaN"):
        read_run(folder)


@pytest.mark.parametrize("status", ["failed", "interrupted", "done"])
def test_an_ended_run_of_the_same_scenario_may_be_replaced(run, tmp_path, status):
    folder = tmp_path / "run"
    if status == "done":
        write_run(run, folder)
    else:
        write_status(folder, status, name="small", scenario_yaml=run.scenario_yaml)
    check_replaceable(folder, run.scenario_yaml)
    with pytest.raises(FolderError, match="a run of another scenario"):
        check_replaceable(folder, "name: other\n")
    check_replaceable(folder, "name: other\n", overwrite=True)


def test_a_run_that_is_being_written_is_not_replaced(tmp_path):
    folder = write_status(tmp_path / "run", "running", name="small", scenario_yaml="name: small\n")
    with pytest.raises(FolderError, match="is being written"):
        check_replaceable(folder, "name: small\n")
    check_replaceable(folder, "name: small\n", overwrite=True)


def test_a_folder_that_does_not_exist_may_be_written(tmp_path):
    check_replaceable(tmp_path / "nothing", "name: small\n")


def test_what_is_not_a_run_folder_is_said_to_be_none(tmp_path):
    with pytest.raises(FolderError, match="is not a folder"):
        read_run(tmp_path / "nothing")
    with pytest.raises(FolderError, match=r"has no run\.json"):
        read_run(tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(FolderError, match="it is a sweep's"):
        read_run(tmp_path)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_format(path):
    path.write_text(path.read_text().replace('"format": 2', '"format": 99'))


def without_notes(path):
    path.write_text(path.read_text().replace('"notes"', '"remarks"'))


def without_column(path):
    path.write_bytes(files.table_bytes(pa.table({"round": [0]}), pa.schema([("round", pa.int64())])))


def another_column_type(path):
    table = pa.table({name: ["text"] for name in ROUNDS.names})
    path.write_bytes(files.table_bytes(table, table.schema))


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("rounds.parquet", truncate, "rounds.parquet cannot be read"),
        ("rounds.parquet", without_column, "rounds.parquet cannot be read"),
        ("rounds.parquet", another_column_type, "rounds.parquet cannot be read"),
        ("devices.parquet", lambda path: path.unlink(), "devices.parquet is missing"),
        ("model.safetensors", truncate, "model.safetensors cannot be read"),
        ("model.safetensors", lambda path: path.unlink(), "model.safetensors cannot be read"),
        ("scenario.yaml", lambda path: path.unlink(), "scenario.yaml cannot be read"),
        ("scenario.yaml", lambda path: path.write_bytes(b"\xff\xfe"), "scenario.yaml cannot be read"),
        ("run.json", truncate, "run.json is damaged"),
        ("run.json", lambda path: path.write_text("[]"), "has format None"),
        ("run.json", other_format, "has format 99 and this FedTiny reads format 2"),
        ("run.json", without_notes, "lacks notes"),
        ("run.json", lambda path: path.write_text('{"format": 2}'), "lacks name, status, provenance"),
    ],
)
def test_a_damaged_run_folder_is_named_with_what_is_wrong(run, tmp_path, name, damage, says):
    folder = write_run(run, tmp_path / "run")
    damage(folder / name)
    with pytest.raises(FolderError) as caught:
        read_run(folder)
    assert says in str(caught.value)
    assert str(folder) in str(caught.value)


def test_columns_that_a_later_version_added_are_left_out(run, tmp_path):
    folder = write_run(run, tmp_path / "run")
    more = run.rounds.append_column("staleness", [[0, 1, 2, 3]])
    (folder / "rounds.parquet").write_bytes(files.table_bytes(more, more.schema))
    assert read_run(folder).rounds.schema == ROUNDS


def test_runs_from_before_rounds_had_delays_are_read_with_unknown_ones(run, tmp_path):
    folder = write_run(run, tmp_path / "run")
    older = run.rounds.drop_columns(["delay"])
    (folder / "rounds.parquet").write_bytes(files.table_bytes(older, older.schema))
    found = read_run(folder).rounds
    assert found.schema == ROUNDS
    assert found["delay"].to_pylist() == [None] * 4
    assert found.drop_columns(["delay", "loss"]).equals(older.drop_columns(["loss"]))


def test_results_are_read_without_torch_or_simpy_or_flower():
    heavy = "{'torch', 'simpy', 'flwr', 'pandas', 'scipy'}"
    code = f"import sys, fedtiny.results.folder, fedtiny.results.sweep, fedtiny.reports.page; print({heavy} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
