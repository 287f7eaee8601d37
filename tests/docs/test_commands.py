"""Every command that the documentation names is done, or, where that takes long, read by the program that it is for.

The tutorial and the guides are done line by line (test_tutorial.py, test_guides.py). Of the other pages, cheap commands are done here,
all of fedtiny's by `make docs-commands`, and the whole of what takes hours by the make target that the page names.
"""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

OTHER_PROGRAMS = {"git", "cd"}
CHEAP = {"--version", "validate", "plan", "memory", "catalog", "schema", "init", "report"}
"""Commands of fedtiny that take seconds, whatever they are asked ..."""
NOT_CHEAP = {
    "fedtiny plan scenarios/latency_memory.yaml --seeds 3 --workers 2",
    "fedtiny plan scenarios/quickstart.yaml --axis network.latency=1ms..5s:7:log --axis 'strategy=fedavg,{kind: dga, delay: 7}' --json",
}
"""... but for these, which watch runs of many kinds."""
_SHORT_DESIGN = {
    "model.pretrained.steps": "2",
    "design.supernet": "{steps: 2, kernel_steps: 1, depth_steps: 1, expansion_steps: 1}",
    "design.search": "{population: 4, generations: 1}",
}
SHORTER = {
    "sweep": ["--set", "stop={rounds: 1}"],
    "contribution": ["--steps", "5"],
    "design": [word for key, value in _SHORT_DESIGN.items() for word in ("--set", f"{key}={value}")],
}
"""What `make docs-commands` adds to commands that take minutes or hours."""
PRETRAINED_SHORTER = ["--set", "model.pretrained.steps=2"]

commands, documents = sys.modules["commands"], sys.modules["documents"]


def name(command):
    return f"{command.page.relative_to(documents.ROOT)}:{command.line}"


def is_cheap(command):
    return command.words[1] in CHEAP and command.text not in NOT_CHEAP


TYPED = commands.typed()
OF_FEDTINY = [command for command in TYPED if command.words[0] == "fedtiny"]
MENTIONED = commands.mentioned()


def as_the_pages_assume(place):
    """Fills a folder with the repository's scenarios and those that pages write."""
    (place / "scenarios").symlink_to(documents.ROOT / "scenarios")
    for page in [documents.ROOT / "README.md", *commands.followed()]:
        for block in documents.blocks(page):
            if block.language == "yaml" and block.name and "/" not in block.name:
                (place / block.name).write_text(block.text, encoding="utf-8")
    template = documents.Command(documents.ROOT / "README.md", 0, "fedtiny init mine")
    assert documents.in_this_process(template, place).code == 0
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return as_the_pages_assume(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def folder_of_long_runs(tmp_path_factory):
    return as_the_pages_assume(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def cache(pretrained_once, monkeypatch):
    monkeypatch.setenv("FEDTINY_CACHE", str(pretrained_once))


def test_pages_name_commands_of_programs_that_a_test_knows():
    unknown = {name(command): command.text for command in TYPED if command.words[0] not in {*commands.PROGRAMS, *OTHER_PROGRAMS}}
    assert unknown == {}, "say in this file how these are tested"


@pytest.mark.parametrize("command", OF_FEDTINY, ids=name)
def test_a_command_of_fedtiny_is_one_that_it_understands(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    commands.parsed(command.words, folder)


@pytest.mark.parametrize("command", [command for command in MENTIONED if command.text.startswith("fedtiny")], ids=name)
def test_a_command_in_the_text_is_one_that_fedtiny_understands(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    words = command.words
    commands.known(words)
    if not commands.has_placeholder(command) and any(not word.startswith("-") for word in words[2:]):
        commands.parsed(words, folder)


@pytest.mark.parametrize(
    "target", sorted({c.text for c in [*TYPED, *MENTIONED] if c.words[0] == "make" and not commands.has_placeholder(c)})
)
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_knows_a_target_that_pages_name(target):
    commands.make_would(target.partition("#")[0].split())


def test_scripts_that_pages_name_are_there_and_are_python():
    named = {script for c in [*TYPED, *MENTIONED] if c.words[0] == "python" for script in commands.scripts(c.words)}
    assert len(named) > 5
    for script in named:
        compile(script.read_text(encoding="utf-8"), str(script), "exec")


def made_up_runs(command, folder):
    """Small runs for folders that a report is asked of and that nobody has made."""
    for word in command.words[2:]:
        if word.startswith("runs/") and word != "runs/comparison" and not (folder / word).exists():
            shorter = f"fedtiny run scenario.yaml --quiet --set 'stop={{rounds: 1}}' --set name={word.removeprefix('runs/')} --out {word}"
            assert documents.in_this_process(documents.Command(command.page, command.line, shorter), folder).code == 0


@pytest.mark.parametrize("command", [command for command in OF_FEDTINY if is_cheap(command)], ids=name)
def test_a_command_that_takes_seconds_does_what_it_says(command, folder, cache):
    if command.words[1] == "report":
        made_up_runs(command, folder)
    outcome = documents.in_this_process(command, folder)
    assert outcome.code == 0, outcome.printed + outcome.said
    assert outcome.printed


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in OF_FEDTINY if not is_cheap(command)], ids=name)
def test_a_command_that_takes_longer_does_what_it_says(command, folder_of_long_runs, cache):
    folder = folder_of_long_runs
    words = [*command.words, *SHORTER.get(command.words[1], [])]
    if command.words[1] == "sweep" and "pretrained: {" in (folder / words[2]).read_text(encoding="utf-8"):
        words += PRETRAINED_SHORTER
    shorter = documents.Command(command.page, command.line, shlex.join(words))
    outcome = documents.in_a_shell(shorter, folder)
    assert outcome.code == 0, outcome.printed + outcome.said


@pytest.mark.slow
def test_the_tutorials_installation_installs(tmp_path):
    """In a copy of the repository, with pip asking its index as ever; it takes minutes."""
    clone = tmp_path / "clone"
    shutil.copytree(documents.ROOT, clone, ignore=shutil.ignore_patterns(".git", ".venv*", "runs", "__pycache__"))
    [install] = [block for block in documents.blocks(documents.ROOT / "docs" / "tutorial.md") if block.name == "install"]
    done = subprocess.run(
        ["bash", "-ec", install.text], cwd=clone, env=os.environ, capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("fedtiny ")
