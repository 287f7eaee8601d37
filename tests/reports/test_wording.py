from fedtiny.reports.wording import in_words, listed, plural, sooner


def test_counts_and_lists_read_as_in_a_sentence():
    assert [plural(1, "device"), plural(1200, "device")] == ["1 device", "1,200 devices"]
    assert [in_words(0), in_words(2), in_words(13)] == ["no", "two", "13"]
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_what_is_sooner_later_and_the_same_is_called_so():
    space = "\N{NO-BREAK SPACE}"
    assert sooner(3.1, "fedavg") == f"3.1{space}× sooner than fedavg"
    assert sooner(0.5, "fedavg") == f"2{space}× later than fedavg"
    assert sooner(1.001, "fedavg") == "as soon as fedavg"
