from dataclasses import replace

from fedtiny.reports.citations import bibtex_of, citation_blocks, citations_of


def test_a_work_cited_by_several_runs_is_listed_once(fedavg, dga):
    other = {"key": "x2020", "text": "X.", "bibtex": "@misc{x2020}\n", "why": "the network"}
    works = citations_of([fedavg, replace(dga, citations=[*dga.citations, other])])
    assert [work["key"] for work in works] == ["zhu2021dga", "x2020"]


def test_bibtex_can_be_copied(fedavg):
    table, listing = citation_blocks([fedavg])
    assert table.rows == (("the strategy", fedavg.citations[0]["text"]),)
    assert listing.text == fedavg.citations[0]["bibtex"] + "\n"


def test_without_citations_there_is_nothing_to_cite(fedavg):
    assert citation_blocks([replace(fedavg, citations=[])]) == ()


def test_an_entry_written_in_one_line_is_broken_at_its_fields_and_nowhere_else(fedavg):
    entry = "@misc{k, title={{Of a, b and {c, d}}}, author={A, B and C}, howpublished={\\url{https://example.org/x}}}"
    work = {"key": "k", "text": "K.", "bibtex": entry, "why": "the network"}
    lines = bibtex_of([replace(fedavg, citations=[work])]).splitlines()
    assert lines == [
        "@misc{k,",
        "  title={{Of a, b and {c, d}}},",
        "  author={A, B and C},",
        "  howpublished={\\url{https://example.org/x}}",
        "}",
    ]
