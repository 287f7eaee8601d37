import subprocess
import sys

import pytest

import fedtiny


def test_every_public_name_is_found_and_listed():
    assert fedtiny.__all__ == sorted(fedtiny.__all__)
    for name in fedtiny.__all__:
        assert getattr(fedtiny, name).__name__ == name
    assert set(fedtiny.__all__) <= set(dir(fedtiny))


def test_the_promised_names_are_there():
    assert {"RunResult", "Scenario", "load_scenario", "run", "write_report", "write_run"} <= set(fedtiny.__all__)


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known():
    with pytest.raises(AttributeError, match="load_scenario"):
        _ = fedtiny.load_scenarios


@pytest.mark.parametrize(("name", "absent"), [("", {"torch", "flwr", "numpy", "pydantic"}), ("read_run", {"torch", "flwr", "simpy"})])
def test_a_name_costs_only_what_it_needs(name, absent):
    program = f"import sys, fedtiny; {f'fedtiny.{name}' if name else 'fedtiny'}; print(sorted({absent!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
