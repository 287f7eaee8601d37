"""Reports in a real browser: what a person sees on a phone, on a desk, in the dark and on paper."""

import importlib.util
from pathlib import Path

import pytest

from fedtiny.reports.page import write_report
from fedtiny.results.folder import write_run
from fedtiny.results.sweep import write_sweep

_SPEC = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
chromium = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(chromium)

LEGIBILITY = (Path(__file__).parent / "legibility.js").read_text(encoding="utf-8")
PHONE, DESK, PAPER = 375, 1280, 718
UNDESCRIBED = "[...document.querySelectorAll('svg, img')].filter((one) => !(one.getAttribute('aria-label') || one.alt)).length"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.browser_path() is None, reason="there is no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = chromium.Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory, fedavg, dga, make_sweep, make_choices):
    place = tmp_path_factory.mktemp("reports")
    runs = [write_run(run, place / run.name) for run in (fedavg, dga)]
    sweep, finished = make_sweep((0, 1))
    for cell, run in finished.items():
        write_run(run, place / "sweep" / sweep.folders[cell])
    write_sweep(sweep, place / "sweep")
    write_sweep(make_choices(), place / "choices")
    return {
        "run": write_report(runs[:1], runs[0]),
        "comparison": write_report(runs, place / "comparison"),
        "sweep": write_report([place / "sweep"], place / "sweep"),
        "choices": write_report([place / "choices"], place / "choices"),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("kind", ["run", "comparison", "sweep", "choices"])
def test_a_report_can_be_read(browser, reports, kind, width, scheme):
    browser.open(reports[kind], width=width, scheme=scheme)
    assert browser.value("document.querySelectorAll('svg').length") >= 3
    assert browser.value(LEGIBILITY) == []
    assert browser.value(UNDESCRIBED) == 0


@pytest.mark.parametrize("kind", ["run", "comparison", "sweep", "choices"])
def test_a_report_asks_nobody_for_anything_and_complains_about_nothing(browser, reports, kind):
    browser.open(reports[kind], width=DESK)
    asked = [event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [reports[kind].resolve().as_uri()]
    assert [event for event in browser.events if event["method"] != "Network.requestWillBeSent"] == []


@pytest.mark.parametrize("kind", ["run", "comparison", "sweep", "choices"])
def test_a_report_can_be_printed(browser, reports, kind, tmp_path):
    browser.open(reports[kind], width=PAPER, scheme="dark")
    browser.ask("Emulation.setEmulatedMedia", media="print")
    assert browser.value(LEGIBILITY) == []
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    printed = tmp_path / "report.pdf"
    browser.print_to(printed)
    assert printed.read_bytes().startswith(b"%PDF")
    assert 2 <= printed.read_bytes().count(b"/Type /Page\n") <= 20


def test_the_checks_notice_what_is_hard_to_read(browser, reports):
    browser.open(reports["run"], width=PHONE)
    browser.value("document.querySelector('h1').style.marginBottom = '-2rem'; document.querySelector('.note').style.color = '#aaaaaa'")
    browser.value("document.querySelector('footer').style.width = '900px'")
    assert {problem.split()[0] for problem in browser.value(LEGIBILITY)} == {"overlap", "contrast", "wider"}


def column(browser, number):
    """The texts of a column of the last table that was marked."""
    return browser.value(f"[...document.querySelector('table.tested').tBodies[0].rows].map((row) => row.cells[{number}].textContent)")


def heading(browser, number, what):
    return browser.value(f"document.querySelector('table.tested').tHead.rows[0].cells[{number}].{what}")


@pytest.fixture
def rounds_table(browser, reports):
    browser.open(reports["run"], width=DESK)
    browser.value(
        "[...document.querySelectorAll('section')].find((one) => one.querySelector('h2').textContent === 'Rounds')"
        ".querySelector('table').classList.add('tested')"
    )
    return browser


def test_a_table_sorts_by_keys_alone_and_says_so(rounds_table):
    before = column(rounds_table, 1)
    assert heading(rounds_table, 1, "ariaSort") == "none"
    heading(rounds_table, 1, "querySelector('button').focus()")
    rounds_table.press("Enter", 13)
    assert heading(rounds_table, 1, "ariaSort") == "ascending"
    assert column(rounds_table, 1) == before
    rounds_table.press("Enter", 13)
    assert heading(rounds_table, 1, "ariaSort") == "descending"
    assert column(rounds_table, 1) == before[::-1]


def test_quantities_sort_by_their_size_whatever_their_unit(rounds_table):
    rounds_table.value("document.querySelector('table.tested').tBodies[0].rows[0].cells[6].textContent = '–'")
    texts = column(rounds_table, 1)
    assert {text.split("\N{NO-BREAK SPACE}")[1] for text in texts} >= {"s", "min"}
    heading(rounds_table, 3, "querySelector('button').click()")
    losses = [float(text) for text in column(rounds_table, 3)]
    assert losses == sorted(losses)
    heading(rounds_table, 6, "querySelector('button').click()")
    assert column(rounds_table, 6)[-1] == "–"
    heading(rounds_table, 6, "querySelector('button').click()")
    assert column(rounds_table, 6)[-1] == "–"
    heading(rounds_table, 1, "querySelector('button').click()")
    assert column(rounds_table, 1) == texts


def test_without_scripts_nothing_is_missing_but_the_sorting(browser, reports):
    browser.open(reports["run"], width=DESK)
    whole = browser.value("document.querySelector('main').textContent")
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(reports["run"], width=DESK)
    browser.ask("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.value("document.querySelectorAll('button').length") == 0
    bare = browser.value("document.querySelector('main').textContent")
    assert bare.split() == whole.replace("Copy", "").split()
