"""The guides, done as they are written: those that add a part of FedTiny's to a copy of the repository, the others in an empty folder."""

import re
import shutil
import sys

import pytest

documents = sys.modules["documents"]
GUIDES = sorted((documents.ROOT / "docs" / "guides").glob("*.md"))
REPORTS = documents.ROOT / "fedtiny" / "reports"
IN_THE_CLONE = ("fedtiny/", "tests/")


def changes_the_clone(guide):
    return any(block.name.startswith(IN_THE_CLONE) for block in documents.blocks(guide))


def copy_the_clone(folder):
    for name in ("fedtiny", "tests"):
        shutil.copytree(documents.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(documents.ROOT / "pyproject.toml", folder)


def ids(page):
    return page.stem


@pytest.mark.parametrize("guide", [guide for guide in GUIDES if not changes_the_clone(guide)], ids=ids)
def test_a_guide_leads_where_it_says(guide, reader):
    if guide.stem == "search":
        pytest.importorskip("optuna")
    reader(f"docs/guides/{guide.name}", documents.in_this_process)


@pytest.mark.slow
@pytest.mark.parametrize("guide", [guide for guide in GUIDES if changes_the_clone(guide)], ids=ids)
def test_a_guide_that_changes_the_clone_leads_where_it_says(guide, reader, tmp_path):
    copy_the_clone(tmp_path)
    reader(f"docs/guides/{guide.name}", documents.in_a_shell)


@pytest.mark.parametrize("guide", GUIDES, ids=ids)
def test_what_a_guide_writes_is_python_and_what_it_changes_is_there(guide):
    for block in documents.blocks(guide):
        if block.language == "diff":
            documents.changed((documents.ROOT / block.name).read_text(encoding="utf-8"), block)
        elif block.language == "python":
            compile(block.text, f"{guide.name}:{block.line}", "exec")


@pytest.mark.parametrize("guide", GUIDES, ids=ids)
def test_every_file_that_a_guide_names_in_its_text_is_there(guide):
    text = re.sub(r"```.*?```", "", guide.read_text(encoding="utf-8"), flags=re.S)
    made = {block.name for block in documents.blocks(guide)}
    for name in re.findall(r"`((?:fedtiny|tests|clients|strategies)/[\w./-]+)`", text):
        place = documents.ROOT / ("fedtiny/" + name if name.startswith("strategies/") else name)
        assert name in made or place.exists(), f"{guide.name} names {name}"


@pytest.mark.parametrize("page", [*GUIDES, documents.ROOT / "docs" / "tutorial.md"], ids=ids)
def test_links_of_a_page_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def guide_to_reports():
    return (documents.ROOT / "docs" / "guides" / "read_a_report.md").read_text(encoding="utf-8")


def test_the_guide_to_reports_has_every_section():
    source = "".join(file.read_text(encoding="utf-8") for file in REPORTS.glob("*.py"))
    sections = set(re.findall(r'Section\(\s*"([^"]+)"', source))
    assert len(sections) > 20
    tables = [line for line in guide_to_reports().splitlines() if line.startswith("|")]
    assert {section for section in sections if not any(section in line for line in tables)} == set()


def test_the_guide_to_reports_has_every_figure():
    from fedtiny.reports import page

    # what `fedtiny memory --plot` and `fedtiny contribution` draw is in no report
    drawn = {file.stem for file in (REPORTS / "figures").glob("*.py")} - {"__init__", "memory_along_step", "contributions"}
    drawn |= set(page.SWEEP_FIGURES) - {"sweep_pareto_fronts"}
    assert {name for name in drawn if f"`{name}`" not in guide_to_reports()} == set()


def test_a_change_of_a_file_is_made_where_its_lines_are_and_nowhere_else():
    block = documents.Block(documents.ROOT / "x.md", 1, "diff", "x", " a\n-b\n+c\n d\n")
    assert documents.changed("1\na\nb\nd\n2\n", block) == "1\na\nc\nd\n2\n"
    with pytest.raises(AssertionError, match="0 times"):
        documents.changed("a\nd\n", block)


@pytest.mark.parametrize(
    ("shown", "printed", "missing"),
    [
        (["a 1.00 b"], "a   1.004 b", None),
        (["a 1.00 b"], "a 1.02 b", "a 1.00 b"),
        (["9 rounds"], "10 rounds", "9 rounds"),
        (["x", "...", "z"], "x\ny\ny\nz\n", None),
        (["x", "z"], "x\ny\nz\n", "z"),
        (["x ... 3"], "x of some kind 3", None),
        (["-3"], "3", "-3"),
    ],
)
def test_what_a_page_shows_is_compared_with_what_comes(shown, printed, missing):
    assert documents.first_missing(shown, printed) == missing


def test_every_page_is_in_the_index():
    index = (documents.ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(documents.ROOT / "docs")) for page in (documents.ROOT / "docs").glob("**/*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()
