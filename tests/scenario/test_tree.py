import itertools
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.errors import ScenarioError
from fedtiny.scenario.tree import MOST_BYTES, MOST_LEVELS, MOST_VALUES, SourceMap, dotted, dump_tree, parse_tree


def plain(text):
    return parse_tree(text, "s.yaml").plain


def error(text):
    with pytest.raises(ScenarioError) as caught:
        parse_tree(text, "s.yaml")
    return str(caught.value)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in itertools.pairwise("abcdefghijkl")
)


def test_values_are_those_of_safe_yaml():
    text = "a: 1\nb: [1.5, true, null, text, '3']\nc: {d: 2 s}\n"
    assert plain(text) == yaml.safe_load(text)


@pytest.mark.parametrize(("text", "number"), [("1e-3", 1e-3), ("1.5e3", 1500.0), ("-2E+2", -200.0), (".5e1", 5.0)])
def test_a_number_with_an_exponent_is_a_number_without_point_and_sign(text, number):
    assert plain(f"a: {text}") == {"a": number}


@pytest.mark.parametrize("text", ["1e-3 s", "4.7e2 kB", "1e3x"])
def test_a_quantity_with_an_exponent_is_a_text(text):
    assert plain(f"a: {text}") == {"a": text}


def test_a_date_stays_a_text():
    assert plain("name: 2026-01-31") == {"name": "2026-01-31"}


def test_a_key_that_is_a_whole_number_is_the_text_of_it():
    assert plain("{23: 0.5, 07: 1}") == {"23": 0.5, "07": 1}


def test_merged_mappings_give_way_to_own_keys_and_to_earlier_ones():
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\n"
    assert plain(text)["c"] == yaml.safe_load(text)["c"] == {"x": 1, "y": 3, "z": 2}


def test_every_key_and_entry_knows_its_line():
    sources = parse_tree("a: 1\nb:\n  - x\n  - {c: 1,\n     d: 2}\n", "s.yaml").sources
    paths = {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4, ("b", 1, "d"): 5, (): 1}
    assert {path: sources.locate(path) for path in paths} == {path: f"s.yaml:{line}" for path, line in paths.items()}


def test_a_key_that_nobody_wrote_is_where_its_parent_is():
    sources = parse_tree("a: 1\nb: {c: 1}\n", "s.yaml").sources
    assert sources.locate(("b", "missing", 3)) == "s.yaml:2"
    assert sources.explain("is missing", ("b", "d")) == "s.yaml:2: b.d: is missing"


def test_without_lines_every_place_is_the_name():
    assert parse_tree("{a: [1, 2]}", "--set x", lines=False).sources.locate(("a", 1)) == "--set x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "s.yaml:2: a: the key stands here twice (first at s.yaml:1)"),
        ("a:\n  b: 1\n  c: {d: 1, d: 2}\n", "s.yaml:3: d: the key stands here twice"),
        ("a: [1, 2\n", "s.yaml:2: not valid YAML"),
        ("a: 1\n\tb: 2\n", "YAML indents with spaces, not tabs"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2: not valid YAML"),
        ("1.5: a\n", "s.yaml:1: a key must be text, found '1.5'"),
        ("no: a\n", "s.yaml:1: a key must be text, found 'no'"),
        ("[a]: 1\n", "a key must be text, found a list"),
        ("a: !!python/object:os.system {}\n", "the tag !python/object:os.system cannot be used"),
        ("a: !!set {x}\n", "the tag !set cannot be used"),
        ("a: !mine 3\n", "the tag !mine cannot be used"),
        ("a: !!int abc\n", "'abc' cannot be read as int"),
        ("a: .nan\n", "'.nan' is not a number that a scenario can state"),
        ("a: 1e999\n", "'1e999' is not a number that a scenario can state"),
        ("a: " + "9" * 5000 + "\n", "cannot be read as int"),
        ("a: *b\n", "found undefined alias"),
        ("a: &a [*a]\n", "s.yaml:1: an alias that contains itself"),
        ("a: {<<: 3}\n", "'<<' merges mappings only"),
        ("a: \x00\n", "s.yaml:1: not a YAML text"),
    ],
)
def test_what_is_no_plain_yaml_is_one_error_with_its_line(text, message):
    assert message in error(text)
    assert "\n" not in error(text)


def test_a_yaml_bomb_ends_at_once():
    started = time.perf_counter()
    assert f"more than {MOST_VALUES} values, aliases expanded" in error(BOMB)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{b: " * 5_000, "- " * (MOST_LEVELS + 2) + "x"])
def test_deep_nesting_ends_before_the_recursion_limit(text):
    assert f"nested deeper than {MOST_LEVELS} levels" in error(text)


def test_aliases_that_nest_deeply_end_too():
    text = "".join(f"a{n}: &a{n} [{f'*a{n - 1}' if n else 'x'}]\n" for n in range(MOST_LEVELS + 2))
    assert "nested deeper" in error(text)


def test_a_large_file_is_refused():
    assert "limit of a scenario" in error("a: " + "x" * MOST_BYTES)


def test_a_replaced_value_is_said_by_who_replaced_it():
    tree = parse_tree("a: {b: [1, 2]}\n", "s.yaml").replaced(("a", "b", "1"), 5, "--set a.b.1=5")
    assert tree.plain == {"a": {"b": [1, 5]}}
    assert tree.sources.locate(("a", "b", 1)) == "--set a.b.1=5"
    assert tree.sources.locate(("a", "b", 0)) == "s.yaml:1"


def test_what_stood_below_a_replaced_value_has_no_place_any_more():
    tree = parse_tree("a:\n  b:\n    c: 1\n", "s.yaml").replaced(("a", "b"), {"c": 2}, "--set")
    assert tree.sources.locate(("a", "b", "c")) == "--set"


def test_replacing_makes_the_mappings_on_the_way_and_changes_no_other_tree():
    before = parse_tree("a: 1\n", "s.yaml")
    after = before.replaced(("b", "c"), 2, "--set")
    assert (before.plain, after.plain) == ({"a": 1}, {"a": 1, "b": {"c": 2}})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("a", "x"), "--set: a.x: there is no key 'x' in 1: set the whole part instead"),
        (("b", "2"), "'2' is no position in this list: allowed are 0 to 1"),
        (("b", "-1"), "'-1' is no position in this list"),
        (("c", "0"), "'0' is no position in this list: it is empty"),
    ],
)
def test_replacing_what_is_not_there_is_an_error(path, message):
    with pytest.raises(ScenarioError) as caught:
        parse_tree("a: 1\nb: [1, 2]\nc: []\n", "s.yaml").replaced(path, 5, "--set")
    assert message in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4))
def test_what_is_written_is_read_back(values):
    assert plain(dump_tree(values)) == values


@pytest.mark.parametrize("text", ["1e3", "1e-3", "2026-01-31", "no", "1:30", "0x1F", "~", ""])
def test_a_text_that_looks_like_something_else_is_written_in_quotes(text):
    assert plain(dump_tree({"a": text})) == {"a": text}


def test_dotted_paths_read_as_people_write_them():
    assert dotted(("fleet", 0, "count")) == "fleet.0.count"
    assert SourceMap({}).explain("wrong", ()) == "scenario: wrong"


def test_on_and_off_are_texts_where_they_are_keys():
    assert parse_tree("availability: {on: 7 s, off: 3 s}\nflag: on\n", "file").plain == {
        "availability": {"on": "7 s", "off": "3 s"},
        "flag": True,
    }
