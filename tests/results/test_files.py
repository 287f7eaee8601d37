import pytest

from fedtiny.errors import FolderError
from fedtiny.results.files import json_text, replace_file


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(FolderError, match="cannot be written"):
        replace_file(tmp_path / "taken", b"one")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_json_has_no_numbers_that_are_not_json():
    assert (
        json_text({"a": float("inf"), "b": (1.5, float("nan")), 3: "ü"})
        == '{\n  "a": null,\n  "b": [\n    1.5,\n    null\n  ],\n  "3": "ü"\n}\n'
    )
