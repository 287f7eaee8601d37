"""`fedtiny calibrate` from end to end."""

import json

import pytest
from typer.testing import CliRunner

from fedtiny.cli import app
from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.profile_file import read_profile


def run(*arguments):
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


def test_a_machine_is_measured_and_its_profile_is_one(tmp_path):
    file = tmp_path / "mine.yaml"
    result = run("--seconds", 5, "--out", file, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    profile = CustomDevice.model_validate(read_profile(file)).profile()
    assert profile.rates.dense_gemm > 0
    document = json.loads(result.stdout)
    assert document["device"]["kind"] == "custom"
    assert all(step["seconds"] > 0 for step in document["steps"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scenario.yaml"], "add --cohorts"),
        (["--cohorts", "--out", "mine.yaml"], "leave it out"),
        (["--out", "/nowhere/mine.yaml"], "there is no folder /nowhere"),
    ],
)
def test_what_cannot_be_is_refused_at_once(arguments, said):
    result = run(*arguments)
    assert result.exit_code != 0
    assert said in str(result.exception)
