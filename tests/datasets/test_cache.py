import sys
from pathlib import Path

import pytest

from fedtiny.datasets.cache import cache_folder


def test_the_variable_names_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FEDTINY_CACHE", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"


def test_a_tilde_in_the_variable_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("FEDTINY_CACHE", "~/cached")
    assert cache_folder() == Path.home() / "cached"


@pytest.mark.skipif(sys.platform != "linux", reason="the XDG folders are Linux's")
@pytest.mark.parametrize(("stated", "expected"), [("/var/tmp/xdg", Path("/var/tmp/xdg/fedtiny")), ("", Path.home() / ".cache/fedtiny")])
def test_without_the_variable_it_is_the_platforms_place(monkeypatch, stated, expected):
    monkeypatch.delenv("FEDTINY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", stated)
    assert cache_folder() == expected
