"""Folders of Flower apps: what they say, what may be overridden, and how they are loaded and forgotten."""

import sys
from pathlib import Path

import pytest

from fedtiny.apps.app_folder import loaded_app, read_app_folder, run_config_of
from fedtiny.errors import AppError

CLIENT = "from flwr.clientapp import ClientApp\napp = ClientApp()\nNAME = {name!r}\n"
SERVER = "from flwr.serverapp import ServerApp\nimport mine.client_app\napp = ServerApp()\napp.name = mine.client_app.NAME\n"
PROJECT = """
[project]
name = "my-app"
version = "1.0.0"
[tool.flwr.app.components]
serverapp = "mine.server_app:app"
clientapp = "mine.client_app:app"
[tool.flwr.app.config]
rounds = 3
name = "x"
exact = true
[tool.flwr.app.config.optimizer]
lr = 0.1
"""


@pytest.fixture
def app(tmp_path):
    def make(name="one", project=PROJECT, server=SERVER, client=CLIENT):
        folder = tmp_path / name
        (folder / "mine").mkdir(parents=True)
        (folder / "pyproject.toml").write_text(project, encoding="utf-8")
        (folder / "mine" / "__init__.py").write_text("", encoding="utf-8")
        (folder / "mine" / "server_app.py").write_text(server, encoding="utf-8")
        (folder / "mine" / "client_app.py").write_text(client.format(name=name), encoding="utf-8")
        return folder

    return make


def test_tables_of_the_configuration_are_joined_by_dots(app):
    folder = read_app_folder(app())
    assert (folder.name, folder.serverapp, folder.clientapp) == ("my-app", "mine.server_app:app", "mine.client_app:app")
    assert folder.config == {"rounds": 3, "name": "x", "exact": True, "optimizer.lr": 0.1}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["rounds=5 exact=false"], {"rounds": 5, "exact": False}),
        (["name='a b' optimizer.lr=1e-3"], {"name": "a b", "optimizer.lr": 0.001}),
        (["rounds=5", 'name="y"', "rounds=6"], {"rounds": 6, "name": "y"}),
    ],
)
def test_values_are_overridden_as_with_flwr_run(app, given, expected):
    folder = read_app_folder(app())
    assert run_config_of(folder, given) == {**folder.config, **expected}


def test_flower_itself_reads_run_configurations_alike(app):
    from flwr.common.config import parse_config_args

    for text in ("rounds=5 exact=false", "name='a b' optimizer.lr=1e-3", 'name="y" rounds=0'):
        folder = read_app_folder(app(text.replace(" ", "_").replace("/", "")))
        assert run_config_of(folder, [text]) == {**folder.config, **parse_config_args([text])}


def test_a_file_overrides_too(app, tmp_path):
    (tmp_path / "mine.toml").write_text("rounds = 9\n[optimizer]\nlr = 0.5\n", encoding="utf-8")
    found = run_config_of(read_app_folder(app()), [str(tmp_path / "mine.toml")])
    assert (found["rounds"], found["optimizer.lr"]) == (9, 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("round=5", "did you mean 'rounds'"),
        ("rounds", "expected KEY=VALUE"),
        ("name=bare", "texts in quotes"),
        ("absent.toml", "cannot be read"),
        ("rounds=[1]", "rounds is a list"),
    ],
)
def test_what_cannot_be_overridden_is_said(app, given, message):
    with pytest.raises(AppError, match=message):
        run_config_of(read_app_folder(app()), [given])


def test_an_app_is_loaded_and_forgotten_so_that_another_may_have_the_same_names(app):
    for name in ("one", "two"):
        with loaded_app(read_app_folder(app(name))) as (server, _):
            assert server.name == name
            assert "mine.client_app" in sys.modules
        assert "mine.client_app" not in sys.modules
        assert not [path for path in sys.path if Path(path).name == name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"project": "[project]\nname = 'x'\n"}, "lacks serverapp, clientapp"),
        ({"project": "not toml"}, "cannot be read"),
        ({"project": PROJECT.replace("server_app:app", "server_app")}, "expected module:attribute"),
        ({"project": PROJECT.replace("server_app:app", "server_app:application")}, "cannot be loaded: AttributeError"),
        ({"server": "import nowhere_to_be_found"}, "cannot be loaded: ModuleNotFoundError"),
        ({"server": "app = 3"}, "is no ServerApp but a int"),
    ],
)
def test_what_is_wrong_with_an_app_is_said(app, change, message):
    def load(folder):
        with loaded_app(read_app_folder(folder)):
            pass

    with pytest.raises(AppError, match=message):
        load(app(**change))


def test_a_folder_without_an_app_is_no_app(tmp_path):
    with pytest.raises(AppError, match="no pyproject"):
        read_app_folder(tmp_path)
