"""The words of --log are places, and wrong words say which are right."""

from pathlib import Path

import pytest

import fedtiny.trackers.destination as module
from fedtiny.errors import InputError
from fedtiny.trackers.destination import Destination, destinations, file_name


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def installed(monkeypatch):
    """Both packages count as installed: words do not import them."""
    monkeypatch.setattr(module, "find_spec", lambda name: object())


@pytest.mark.usefixtures("installed")
def test_a_word_alone_is_a_folder_beside_the_run_and_another_one_can_be_named(tmp_path):
    found = destinations(["tensorboard", "mlflow", "tensorboard=there", "mlflow=there", "tensorboard"], tmp_path)
    assert found == (
        Destination("tensorboard", str(tmp_path / "tensorboard")),
        Destination("mlflow", f"sqlite:///{tmp_path}/mlflow/mlflow.db"),
        Destination("tensorboard", "there"),
        Destination("mlflow", f"sqlite:///{Path.cwd()}/there/mlflow.db"),
    )


@pytest.mark.usefixtures("installed")
def test_mlflow_heeds_its_own_variable_and_an_address_that_is_said_more(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert destinations(["mlflow"], tmp_path) == (Destination("mlflow", "http://server:5000"),)
    assert destinations(["mlflow=sqlite:///a.db"], tmp_path) == (Destination("mlflow", "sqlite:///a.db"),)


@pytest.mark.parametrize("word", ["wandb", "tensorboard=", "", "TensorBoard"])
def test_another_word_is_refused(word, tmp_path):
    with pytest.raises(InputError, match="choose tensorboard or mlflow"):
        destinations([word], tmp_path)


@pytest.mark.parametrize("kind", ["tensorboard", "mlflow"])
def test_a_package_that_is_missing_is_named_with_what_to_do(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"pip install 'fedtiny\[{kind}\]'"):
        destinations([kind], tmp_path)


def test_a_name_becomes_a_files_name():
    assert file_name("network.latency=1 s, update=full/last, seed=0") == "network.latency=1_s,_update=full_last,_seed=0"
    assert len(file_name("x" * 1000)) <= 255
