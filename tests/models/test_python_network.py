from pathlib import Path

import pytest
import torch
from torch import nn

from fedtiny.errors import ModelError
from fedtiny.models.python_network import PythonNetwork, build_user_network, load_user_network

NETWORKS = """
import torch
from torch import nn

class Sized(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        self.layer = nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], classes)
    def forward(self, inputs):
        return self.layer(inputs.flatten(1))

class Fixed(nn.Module):
    def __init__(self, hidden=3):
        super().__init__()
        self.layer = nn.Linear(hidden, 2)
        self.given = hidden

class Positional(nn.Module):
    def __init__(self, shape, outputs):
        super().__init__()
        self.given = (shape, outputs)

class OnlyClasses(nn.Module):
    def __init__(self, *, classes, hidden=3):
        super().__init__()
        self.given = classes

class Needy(nn.Module):
    def __init__(self, classes, hidden):
        super().__init__()

class Broken(nn.Module):
    def __init__(self):
        raise KeyError("weights")

class NotANetwork:
    pass
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "net.py"
    file.write_text(NETWORKS)
    return file


def build(path: Path, name: str, *, seed: int = 1) -> nn.Module:
    model = PythonNetwork(path=str(path), name=name)
    return model.build((1, 2, 3), 4, lite_residual=False, generator=torch.Generator().manual_seed(seed))


def test_a_constructor_gets_the_input_shape_and_the_classes_if_it_takes_them(path):
    assert build(path, "Sized").layer.weight.shape == (4, 6)
    assert build(path, "Positional").given == ((1, 2, 3), 4)
    assert build(path, "OnlyClasses").given == 4


def test_a_constructor_that_needs_nothing_gets_nothing(path):
    assert build(path, "Fixed").given == 3


def test_initial_values_follow_the_generator_and_leave_the_global_one_alone(path):
    before = torch.random.get_rng_state()
    first, again, other = (build(path, "Sized", seed=seed).layer.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_same_file_is_run_once_and_a_changed_one_again(path):
    first = load_user_network(path, "Fixed")
    assert load_user_network(path, "Fixed") is first
    path.write_text(NETWORKS + "\nclass More(nn.Module): pass\n")
    assert load_user_network(path, "More").__name__ == "More"
    assert load_user_network(path, "Fixed") is not first


def test_nothing_is_written_beside_the_file(path):
    load_user_network(path, "Fixed")
    assert [file.name for file in path.parent.iterdir()] == ["net.py"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", "has no 'Missing'; networks in this file: Broken, Fixed, Needy, OnlyClasses, Positional, Sized"),
        ("NotANetwork", "'NotANetwork', but it is not a class derived from torch.nn.Module"),
        ("Needy", "needs the arguments classes, hidden, but FedTiny offers input_shape and classes only: give the others defaults"),
        ("Broken", "network Broken could not be constructed: KeyError: 'weights'"),
    ],
)
def test_a_class_that_cannot_be_used_is_a_model_error_that_says_why(path, name, message):
    with pytest.raises(ModelError, match=message):
        build(path, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def (", "SyntaxError"),
        ("import torch\n1 / 0", "ZeroDivisionError"),
        ("import sys\nsys.exit(3)", "SystemExit"),
        ("x = '\0'", "null bytes"),
    ],
)
def test_a_file_that_fails_is_a_model_error_that_says_why(path, text, message):
    path.write_text(text)
    with pytest.raises(ModelError, match=f"(?s)file .*net.py failed: .*{message}"):
        load_user_network(path, "Net")


def test_a_file_that_failed_fails_again(path):
    path.write_text("class Net: pass\n1 / 0")
    for _ in range(2):
        with pytest.raises(ModelError, match="ZeroDivisionError"):
            load_user_network(path, "Net")


def test_a_file_that_is_not_there_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read the network's file .*nowhere\.py: No such file"):
        load_user_network(tmp_path / "nowhere.py", "Net")


def test_a_function_that_makes_a_network_will_do_and_one_that_makes_something_else_will_not():
    generator = torch.Generator().manual_seed(1)
    assert build_user_network(lambda classes: nn.Linear(3, classes), (1, 2, 3), 4, generator).out_features == 4
    with pytest.raises(ModelError, match=r"made int, but it must make a torch\.nn\.Module"):
        build_user_network(lambda: 3, (1, 2, 3), 4, generator)
