import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from fedtiny.errors import FolderError
from fedtiny.reports.page import write_report, write_sweep_report
from fedtiny.results.folder import write_run, write_status
from fedtiny.results.sweep import write_sweep

VOID = {"meta", "br", "img", "hr", "input", "link"}
LEARNING = {"learning_over_rounds", "learning_over_time", "learning_over_bytes", "learning_over_energy"}


class Reader(HTMLParser):
    """Reads a page strictly: every tag must be closed in turn; collects resources, links and text."""

    def __init__(self):
        HTMLParser.__init__(self)
        self.open, self.tags, self.resources, self.headings = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.resources += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def read(path):
    reader = Reader()
    text = path.read_text(encoding="utf-8")
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return text, reader


@pytest.fixture(scope="module")
def folders(tmp_path_factory, fedavg, dga, empty, make_run):
    place = tmp_path_factory.mktemp("runs")
    runs = {"fedavg": fedavg, "again": fedavg, "dga": dga, "empty": empty, "void": empty, "mute": make_run("mute", rounds=1, energy=False)}
    return {name: write_run(run, place / name) for name, run in runs.items()}


@pytest.fixture(scope="module")
def run_report(folders):
    return write_report([folders["fedavg"]], folders["fedavg"])


@pytest.fixture(scope="module")
def comparison(folders):
    return write_report([folders["fedavg"], folders["dga"]], folders["fedavg"].parent / "comparison")


@pytest.fixture(scope="module")
def sweep_report(tmp_path_factory, make_sweep):
    place = tmp_path_factory.mktemp("sweep")
    sweep, runs = make_sweep((0, 1))
    for cell, run in runs.items():
        write_run(run, place / sweep.folders[cell])
    return write_report([write_sweep(sweep, place)], place)


def figures(path):
    return {entry.name for entry in (path.parent / "figures").iterdir()}


def files_of(*names):
    return {f"{name}.{ending}" for name in names for ending in ("svg", "png")}


def test_a_run_is_told_in_sections_with_all_its_figures(run_report):
    _, page = read(run_report)
    assert page.headings == [
        *("fedavg", "Learning", "Who trained what", "Time to accuracy", "Where the time goes", "Fleet and memory", "Devices"),
        *("Energy", "Rounds", "Scenario", "Notes", "Made with", "Please cite"),
    ]
    assert page.tags.count("svg") == 8
    assert figures(run_report) == files_of(*LEARNING, "timeline", "processor_time", "round_durations", "memory")


def test_several_runs_are_compared_in_one_page(comparison):
    text, page = read(comparison)
    assert page.headings[:3] == ["fedavg, dga", "To the target", "What it costs"]
    assert "stated by the scenario" in text
    assert "strategy.delay" in text
    assert figures(comparison) == files_of(
        *LEARNING, "speed_up", "pareto_fronts", "timeline", "processor_time", "round_durations", "memory"
    )


def test_a_sweep_is_told_with_its_map_and_its_curves(sweep_report):
    text, page = read(sweep_report)
    assert page.headings[:6] == ["latency_memory", "Map", "Effect", "Curves", "What it costs", "Cells"]
    assert figures(sweep_report) == files_of("sweep_heat_map", "sweep_effect", "sweep_curves", "sweep_pareto_fronts")
    assert "does not fit" in text


def test_a_page_loads_nothing_from_elsewhere(run_report, comparison, sweep_report):
    for path in (run_report, comparison, sweep_report):
        text, page = read(path)
        assert all(target.startswith(("#", "data:image/png;base64,", "data:text/plain;charset=utf-8,")) for target in page.resources)
        assert not {"link", "iframe", "img", "object"} & set(page.tags)
        assert not re.search(r"url\((?!#)|@import", text)


def test_no_script_but_its_own_may_run_in_a_page(run_report):
    text, _ = read(run_report)
    allowed = re.search(r"script-src '(sha256-[^']+)'", text).group(1)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL).group(1)
    assert allowed == "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in text


def test_every_figure_is_told_to_those_who_do_not_see_it(run_report, comparison, sweep_report):
    for path in (run_report, comparison, sweep_report):
        figures = re.findall(r"<svg[^>]*>", path.read_text(encoding="utf-8"))
        assert figures
        assert all(re.search(r'role="img" aria-label="[^"]{20,}"', figure) for figure in figures)


def test_bibtex_lies_beside_the_page_and_can_be_downloaded_from_it(comparison):
    text, _ = read(comparison)
    entries = (comparison.parent / "citations.bib").read_text(encoding="utf-8")
    assert entries == "@inproceedings{zhu2021dga,\n  title = {Delayed Gradient Averaging},\n  year = {2021}\n}\n"
    address = re.search(r'<a download="citations.bib" href="data:text/plain;charset=utf-8,([^"]*)"', text).group(1)
    assert unquote(address) == entries


def test_ids_are_unique_within_a_page(run_report):
    text, _ = read(run_report)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_same_run_gives_the_same_bytes_wherever_it_lies_and_whoever_ran_it(run_report, folders, fedavg):
    elsewhere = write_run(replace(fedavg, provenance={**fedavg.provenance, "host_seconds": 99.0, "platform": "another"}), folders["again"])
    other = write_report([elsewhere], elsewhere)
    assert other.read_bytes() == run_report.read_bytes()
    for name in figures(run_report):
        assert (other.parent / "figures" / name).read_bytes() == (run_report.parent / "figures" / name).read_bytes(), name


def test_a_hostile_name_stays_text(folders, empty):
    hostile = '<script>alert("x")</script><img src=x onerror=alert(1)>{{ 7 * 7 }}'
    run = replace(
        empty,
        name=hostile,
        notes=[hostile],
        scenario_yaml=f"name: '{hostile}'\nstrategy: {{kind: '{hostile}'}}\n",
        citations=[{"key": "k", "text": hostile, "bibtex": hostile, "why": hostile}],
        provenance={"versions": {hostile: hostile}},
    )
    folder = write_run(run, folders["dga"].parent / "hostile")
    text, page = read(write_report([folder, folders["mute"]], folder))
    assert "img" not in page.tags
    assert page.tags.count("script") == 1
    assert "{{ 7 * 7 }}" in text
    assert "&lt;script&gt;" in text


def test_a_run_of_no_rounds_has_a_page(folders):
    text, page = read(write_report([folders["empty"]], folders["empty"]))
    assert "No round was run" in text
    assert page.tags.count("svg") == 0


def test_a_run_without_energy_has_a_page_without_its_curve(folders):
    path = write_report([folders["mute"]], folders["mute"])
    read(path)
    assert figures(path) == files_of(*LEARNING - {"learning_over_energy"}, "timeline", "processor_time", "memory")


def test_figures_that_have_gone_are_removed_and_a_users_own_are_kept(folders, tmp_path):
    own = tmp_path / "figures"
    own.mkdir()
    (own / "mine.svg").write_text("mine")
    (own / "learning_over_energy.svg").write_text("stale")
    path = write_report([folders["empty"]], tmp_path)
    assert figures(path) == {"mine.svg"}


def test_runs_of_the_same_name_are_told_apart_by_their_folders(folders):
    text, _ = read(write_report([folders["empty"], folders["void"]], folders["empty"].parent / "same"))
    assert "<h1>empty, void</h1>" in text
    text, _ = read(write_report([folders["empty"], folders["empty"]], folders["empty"].parent / "same"))
    assert "<h1>empty #1, empty #2</h1>" in text


def test_the_sweeps_report_may_be_written_elsewhere(sweep_report, tmp_path):
    assert write_sweep_report(sweep_report.parent, tmp_path).read_bytes() == sweep_report.read_bytes()


def test_what_cannot_be_reported_on_is_said(folders, sweep_report, tmp_path):
    with pytest.raises(FolderError, match="at least one"):
        write_report([], tmp_path)
    with pytest.raises(FolderError, match="it is a sweep's; name it alone"):
        write_report([folders["dga"], sweep_report.parent], tmp_path)
    failed = write_status(tmp_path / "failed", "failed", name="x", scenario_yaml="name: x\n", reason="boom")
    with pytest.raises(FolderError, match="status is failed: boom"):
        write_report([failed], failed)


def test_figures_for_a_printed_paper_lie_beside_those_of_the_page_and_do_not_change_them(folders, tmp_path):
    plain = write_report([folders["mute"]], tmp_path / "plain")
    printed = write_report([folders["mute"]], tmp_path / "printed", printed=True)
    assert printed.read_bytes() == plain.read_bytes()
    names = {path.stem for path in (printed.parent / "figures").glob("*.svg")}
    found = {path.name for path in (printed.parent / "figures" / "paper").iterdir()}
    assert found == {f"{name}.{ending}" for name in names for ending in ("pdf", "png", "svg")}
    assert "<text" not in (printed.parent / "figures" / "paper" / "memory.svg").read_text(encoding="utf-8")
