"""From a scenario to a folder for real nodes."""

import shlex
import subprocess
import tomllib
from pathlib import Path, PurePosixPath

import pytest
import yaml

import fedtiny
from fedtiny.deployment.deploy import deployment_of, write_deployment
from fedtiny.deployment.files import deployment_files, superlink_address
from fedtiny.errors import FolderError, InputError, ScenarioError

FLEET = [
    {"count": 3, "device": "raspberry_pi_4", "network": "wifi_campus"},
    {"count": 2, "device": {"kind": "custom", "memory": "10 kB", "step_time": "1 s"}, "network": "wifi_campus"},
]


def scenario(tmp_path, **more):
    tree = {
        "name": "mine",
        "model": "small_cnn",
        "data": "digits",
        "training": {"batch_size": 8, "local_steps": 5, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
        "strategy": {"kind": "dga", "delay": 10, "send": "early"},
        "fleet": FLEET,
        "on_out_of_memory": "exclude",
        "stop": {"rounds": 2},
        **more,
    }
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return fedtiny.load_scenario(path)


def deployment(loaded, **more):
    said = {"superlink": "server.example.org:8000", "secure": True, "home": PurePosixPath("/opt/fedtiny"), "user": "fedtiny", **more}
    return deployment_of(loaded, said.pop("superlink"), **said)


def test_every_device_that_trains_is_a_node_of_its_class_and_no_other(tmp_path):
    made = deployment(scenario(tmp_path))
    assert made.devices == 5
    assert [(one.label, one.numbers) for one in made.classes] == [("raspberry_pi_4_on_wifi_campus", (0, 1, 2))]
    assert {path.split("/")[1] for path in deployment_files(made) if path.startswith("nodes/")} == {"raspberry_pi_4_on_wifi_campus"}


def test_ranges_say_the_numbers_in_few_words(tmp_path):
    (made,) = deployment(scenario(tmp_path)).classes
    assert type(made)("x", "y", (0, 1, 2, 5, 7, 8), "full", 1, 2).ranges == "0-2, 5, 7-8"


def test_the_app_runs_the_scenario_itself_but_waits_for_all_nodes(tmp_path):
    loaded = scenario(tmp_path)
    written = tmp_path / "out"
    write_deployment(deployment(loaded), written)
    again = fedtiny.load_scenario(written / "app" / "scenario.yaml")
    assert again.strategy.min_available_nodes == 3
    assert again.model_copy(update={"strategy": loaded.strategy}) == loaded
    app = tomllib.loads((written / "app" / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    for component in app["components"].values():
        assert (written / "app" / (component.partition(":")[0].replace(".", "/") + ".py")).is_file()
    assert fedtiny.load_scenario(written / "app" / app["config"]["scenario"]) == again


@pytest.mark.parametrize(("secure", "run_ahead"), [(True, None), (True, 1), (False, None), (False, 2)])
def test_what_is_written_says_one_thing_everywhere(tmp_path, secure, run_ahead):
    files = deployment_files(deployment(scenario(tmp_path), secure=secure, run_ahead=run_ahead))
    unit = files["nodes/raspberry_pi_4_on_wifi_campus/fedtiny-supernode@.service"]
    assert ("make_keys.sh" in files) == secure
    assert ("--insecure" in unit) != secure
    assert ("--auth-supernode-private-key /opt/fedtiny/keys/device-%i" in unit) == secure
    assert ("nodes/raspberry_pi_4_on_wifi_campus/fedtiny-trainer@.service" in files) == (run_ahead is not None)
    started = next(line for line in unit.replace("\\\n", " ").splitlines() if line.startswith("ExecStart="))
    config = shlex.split(started)[-1]
    assert config.startswith("partition-id=%i num-partitions=5")
    assert ('trainer-socket="/run/fedtiny-mine-%i/socket"' in config) == (run_ahead is not None)
    if run_ahead is not None:
        assert "--socket /run/fedtiny-mine-%i/socket" in files["nodes/raspberry_pi_4_on_wifi_campus/fedtiny-trainer@.service"]
        assert tomllib.loads(files["app/pyproject.toml"])["tool"]["flwr"]["app"]["config"]["run-ahead"] == run_ahead
    connection = tomllib.loads(files["superlink/config.toml"])["superlink"]["mine"]
    assert connection["address"] == "server.example.org:8000"
    assert connection.get("insecure", False) != secure


def test_scripts_are_read_by_a_shell_without_complaint(tmp_path):
    for place in (True, False):
        for name, text in deployment_files(deployment(scenario(tmp_path), secure=place, run_ahead=1)).items():
            if name.endswith(".sh"):
                assert subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True).stderr == ""


def test_keys_are_made_once_are_private_and_sign_the_servers_name(tmp_path):
    folder = tmp_path / "out"
    write_deployment(deployment(scenario(tmp_path), superlink="192.168.1.10:8000"), folder)
    for _ in range(2):
        subprocess.run([folder / "make_keys.sh"], check=True, capture_output=True)
    private = [
        folder / "certificates" / "server.key",
        folder / "certificates" / "ca.key",
        *(folder / "keys" / f"device-{n}" for n in range(3)),
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)
    before = [path.read_bytes() for path in private]
    write_deployment(deployment(scenario(tmp_path), superlink="192.168.1.10:8000"), folder)
    assert [path.read_bytes() for path in private] == before
    checked = [
        "openssl",
        "verify",
        "-CAfile",
        folder / "certificates" / "ca.crt",
        "-verify_ip",
        "192.168.1.10",
        folder / "certificates/server.crt",
    ]
    assert subprocess.run(checked, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"stop": {"virtual_time": "10 s"}}, "no virtual time"),
        ({"learning": "none"}, "learning: none"),
        (
            {
                "fleet": {"kind": "population", "count": 100, "mix": "flash_phones"},
                "data": {"kind": "digits", "partition": {"kind": "with_replacement", "examples": 20}},
            },
            "population",
        ),
    ],
)
def test_what_real_nodes_cannot_do_is_refused(tmp_path, changes, found):
    with pytest.raises(ScenarioError, match=found):
        deployment(scenario(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes", [{"home": PurePosixPath("/opt/a b")}, {"home": PurePosixPath("/opt/../etc")}, {"user": "root; rm"}, {"superlink": "x"}]
)
def test_words_that_would_be_taken_for_others_in_a_unit_or_script_are_refused(tmp_path, changes):
    with pytest.raises(InputError, match="--"):
        deployment(scenario(tmp_path), **changes)


@pytest.mark.parametrize("text", ["a:1", "a.b-c:65535", "10.0.0.1:80", "[::1]:8000"])
def test_addresses_have_a_host_and_a_port(text):
    host, port = superlink_address(text)
    assert f"{host}:{port}" == text.replace("[", "").replace("]", "")


@pytest.mark.parametrize("text", ["a", "a:0", "a:65536", ":80", "a b:80", "a;b:80", "-a:80", "a:b", "$(x):80"])
def test_other_words_are_no_address(text):
    with pytest.raises(InputError, match="HOST:PORT"):
        superlink_address(text)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(FolderError, match="something else"):
        write_deployment(deployment(scenario(tmp_path)), other)
    assert [path.name for path in other.iterdir()] == ["mine.txt"]


def test_files_that_a_scenario_reads_are_named(tmp_path):
    fedtiny.run(scenario(tmp_path, name="first", stop={"rounds": 0}))
    archive = Path(tmp_path / "weights.safetensors")
    from safetensors.numpy import save_file

    save_file(fedtiny.run(scenario(tmp_path, stop={"rounds": 0})).model, archive)
    loaded = scenario(tmp_path, model={"kind": "small_cnn", "pretrained": str(archive)})
    made = deployment(loaded)
    assert made.files == (str(archive),)
    assert str(archive) in deployment_files(made)["README.md"]
