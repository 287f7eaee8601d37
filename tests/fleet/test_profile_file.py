"""Devices whose profiles are files."""

import pytest
import yaml

from fedtiny.errors import ScenarioError
from fedtiny.fleet.profile_file import read_profile
from fedtiny.scenario.files import load_scenario, resolved_yaml

PROFILE = "memory: 1 GB\nstep_time: 20 ms\npower: {idle: 1 W, active: 2 W}\n"
SCENARIO = """
name: mine
model: small_cnn
data: digits
update: full
strategy: fedavg
fleet: [{count: 2, device: {kind: profile, path: my_machine.yaml}, network: lte_static}]
stop: {rounds: 2}
"""


def written(folder, text, name="my_machine.yaml"):
    file = folder / name
    file.write_text(text)
    return file


def test_a_profile_is_what_its_file_says_and_is_named_like_it(tmp_path):
    keys = read_profile(written(tmp_path, PROFILE))
    assert keys == {"kind": "custom", "name": "my_machine", **yaml.safe_load(PROFILE)}
    assert read_profile(written(tmp_path, PROFILE + "name: mine"))["name"] == "mine"


def test_a_scenario_names_it_from_its_own_folder_and_states_what_was_read(tmp_path):
    file = written(tmp_path, PROFILE)
    scenario = load_scenario(written(tmp_path, SCENARIO, "scenario.yaml"))
    (group,) = scenario.fleet
    profile = group.device_profile()
    assert (profile.name, profile.device_class, profile.memory, profile.step_time) == ("my_machine", "custom", 1e9, 0.02)
    assert group.name == "my_machine on lte_static"
    file.unlink()
    assert load_scenario(written(tmp_path, resolved_yaml(scenario), "again.yaml")) == scenario


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("memory: 3\nstep_time: 1 s", "memory: .*the unit is missing"),
        ("memory: 1 GB", "step_time"),
        ("memory: 1 GB\nstep_time: 1 s\nspeed: 3", "speed"),
        ("- 1", "holds list and no keys"),
        ("a: [", "it is not YAML"),
        ("#" * 100_001, "more than 100000 bytes"),
    ],
)
def test_what_is_no_profile_is_refused_with_the_place_in_the_scenario(tmp_path, text, said):
    written(tmp_path, text)
    with pytest.raises(ScenarioError, match=r"(?s)scenario.yaml:7: fleet.0.device.path: .*is no device profile: .*" + said):
        load_scenario(written(tmp_path, SCENARIO, "scenario.yaml"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"cannot read the device profile .*my_machine.yaml: No such file"):
        load_scenario(written(tmp_path, SCENARIO, "scenario.yaml"))


def test_beside_the_file_nothing_is_said_of_a_device(tmp_path):
    written(tmp_path, PROFILE)
    more = SCENARIO.replace("my_machine.yaml", "my_machine.yaml, memory: 2 GB")
    with pytest.raises(ScenarioError, match=r"fleet.0.device: a device of kind profile is"):
        load_scenario(written(tmp_path, more, "scenario.yaml"))


def test_members_of_a_population_may_have_one(tmp_path):
    written(tmp_path, PROFILE)
    fleet = "{kind: population, count: 9, members: [{share: 1, device: {kind: profile, path: my_machine.yaml}, network: lte_static}]}"
    text = SCENARIO.replace("data: digits", "data: {kind: digits, partition: {kind: with_replacement, examples: 50}}")
    text = text.replace("[{count: 2, device: {kind: profile, path: my_machine.yaml}, network: lte_static}]", fleet)
    scenario = load_scenario(written(tmp_path, text, "scenario.yaml"))
    assert scenario.fleet.classes[0].device.name == "my_machine"
