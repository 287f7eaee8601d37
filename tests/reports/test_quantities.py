import pytest

from fedtiny.reports import quantities as q

SPACE = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"), (2e-6, "2 µs"), (0.0123456, "12.3 ms"), (0.99999, "1.00 s"), (59.96, "60.0 s"), (119.0, "119 s"), (120.0, "2 min"),
        (129.0, "2.15 min"), (7199.0, "2.00 h"), (2.5 * 86400, "2.5 d"), (4e9, "46,296 d"), (None, "–"), (float("nan"), "–"),
    ],
)  # fmt: skip
def test_times_are_written_in_the_unit_that_suits_them(value, text):
    assert q.seconds(value) == text.replace(" ", SPACE)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (999, "999 B"), (999_600, "1.00 MB"), (256_000, "256 kB"), (1_466_000, "1.47 MB"), (3.4e9, "3.4 GB")]
)
def test_sizes_are_decimal(value, text):
    assert q.size(value) == text.replace(" ", SPACE)


def test_energies_reach_from_microjoules_to_gigajoules():
    assert [q.joules(value) for value in (3.3e-6, 0.0125, 3660.0, 5e12)] == [
        text.replace(" ", SPACE) for text in ("3.3 µJ", "12.5 mJ", "3.66 kJ", "5,000 GJ")
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.345, "12.3"), (23.04, "23.0"), (3.4, "3.4"), (1234.5, "1,234"), (0.0001234, "0.000123"), (-0.5, "−0.5"), (100.2, "100")],
)
def test_numbers_have_three_digits_and_no_powers_of_ten(value, text):
    assert q.number(value) == text


def test_shares_are_per_cent_with_one_digit():
    assert q.percent(0.84666) == f"84.7{SPACE}%"
    assert q.percent(None) == "–"


def test_a_mean_and_its_interval_have_the_same_decimals():
    assert q.spread(74.1234, 0.732) == "74.1 ± 0.7"
    assert q.spread(1234.0, 56.7) == "1,234 ± 57"
    assert q.spread(5.873, 1e-15) == "5.87 ± 0"
    assert q.spread(5.873, None) == "5.87"


def test_a_scale_converts_from_the_base_unit():
    scale = q.time_scale(7200.0)
    assert (scale.unit, scale(5400.0)) == ("h", 1.5)
    assert q.time_scale(0.0).unit == "s"
    assert q.size_scale(5e12).unit == "TB"
