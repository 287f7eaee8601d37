import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from fedtiny.reports import style
from fedtiny.reports.inline_svg import inline_svg


def drawn():
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=style.INK, marker="o")
    return style.svg_text(figure)


def test_every_id_and_every_reference_gets_the_name_of_the_figure():
    inline = inline_svg(drawn(), "curve", "A curve", {})
    ids = re.findall(r'\bid="([^"]+)"', inline)
    references = re.findall(r'(?:url\(#|xlink:href="#)([^")]+)', inline)
    assert ids
    assert references
    assert all(name.startswith("curve-") for name in [*ids, *references])
    assert set(references) <= set(ids)


def test_colours_follow_the_page():
    inline = inline_svg(drawn(), "curve", "A curve", style.PAGE_COLORS)
    assert "var(--ink)" in inline
    assert style.INK not in inline


def test_the_figure_scales_with_the_page_and_keeps_its_proportions():
    root = ElementTree.fromstring(inline_svg(drawn(), "curve", "A curve", {}))
    assert root.get("width") is None
    assert root.get("height") is None
    assert root.get("viewBox") == "0 0 144 72"


def test_a_label_cannot_leave_its_attribute():
    root = ElementTree.fromstring(inline_svg(drawn(), "curve", '"><script>alert(1)</script>', {}))
    assert root.get("aria-label") == '"><script>alert(1)</script>'
    assert root.find(".//script") is None
