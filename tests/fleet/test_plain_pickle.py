"""Pickles are read, and never executed."""

import contextlib
import pickle
import pickletools
from collections import OrderedDict, defaultdict
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.fleet.plain_pickle import NotPlain, plain_values

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda values: st.lists(values, max_size=5) | st.dictionaries(st.text() | st.integers(), values, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize("protocol", range(2, 6))
@given(value=PLAIN)
def test_plain_values_are_what_was_pickled(protocol, value):
    assert plain_values(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [0, 1])
def test_old_pickles_of_numbers_and_short_texts_are_read(protocol):
    value = {"17": {"active": [1, 2**40, -3], "inactive": [4.5, 0.0], "model": "CPH1801", "charging": [True, False, None]}}
    assert plain_values(pickle.dumps(value, protocol)) == value


def test_long_lists_and_shared_values_are_read():
    shared = list(range(3000))
    assert plain_values(pickle.dumps(dict.fromkeys(range(3), shared))) == dict.fromkeys(range(3), shared)


class Evil:
    """What runs a command where it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return (exec, (self.command,))


@pytest.mark.parametrize("protocol", range(6))
def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path, protocol):
    trap = tmp_path / "sprung"
    evil = pickle.dumps({"1": {"active": [Evil(f"open({str(trap)!r}, 'w').close()")]}}, protocol)
    with pytest.raises(NotPlain, match="GLOBAL"):
        plain_values(evil)
    assert not trap.exists()
    pickle.loads(evil)
    assert trap.exists(), "it would have done something"


@pytest.mark.parametrize(
    "value",
    [np.arange(3), OrderedDict(a=1), defaultdict(list), Decimal(1), Path("x"), {1, 2}, frozenset((1,)), (1, 2), b"x", bytearray(b"x"), 1j],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_no_plain_value_is_refused(value):
    with pytest.raises(NotPlain, match="more than dictionaries, lists, texts and numbers"):
        plain_values(pickle.dumps({"1": value}))


def test_every_operation_that_imports_makes_or_calls_is_refused():
    plain = {"PROTO", "FRAME", "MARK", "STOP", "NONE", "NEWTRUE", "NEWFALSE", "INT", "LONG", "FLOAT", "STRING", "UNICODE"}
    plain |= {
        "BININT",
        "BININT1",
        "BININT2",
        "BINFLOAT",
        "LONG1",
        "LONG4",
        "BINSTRING",
        "SHORT_BINSTRING",
        "SHORT_BINUNICODE",
        "BINUNICODE",
    }
    plain |= {"EMPTY_LIST", "EMPTY_DICT", "LIST", "DICT", "APPEND", "APPENDS", "SETITEM", "SETITEMS"}
    plain |= {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"}
    others = [operation for operation in pickletools.opcodes if operation.name not in plain]
    assert {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "EXT1", "PERSID"} <= {each.name for each in others}
    for operation in others:
        with pytest.raises(NotPlain, match=f"asks for {operation.name} "):
            plain_values(b"]]" + operation.code.encode("latin-1") + b"\x00" * 16 + b"\n.")


@given(st.binary(max_size=40))
def test_any_bytes_give_a_value_or_are_refused(content):
    with contextlib.suppress(NotPlain):
        plain_values(content)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04", b".", b"(.", b"]]\x94.", b"\x8a\xff\x01.", b"(lp0\nI1\n", b"}q\x00h\x01.", b"a.", b"}]]s."]
)
def test_broken_pickles_are_refused(content):
    with pytest.raises(NotPlain):
        plain_values(content)
