import re
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from fedtiny.reports import style


def test_the_style_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    with style.paper():
        assert matplotlib.rcParams["svg.hashsalt"] == "fedtiny"
    assert dict(matplotlib.rcParams) == before


def test_a_users_settings_do_not_change_a_figure():
    def draw():
        with style.paper():
            figure = style.new_figure(2, 1)
            figure.subplots().plot([0, 1])
        return style.svg_text(figure), style.png_bytes(figure)

    plain = draw()
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.grid": True}):
        assert draw() == plain


def test_files_name_no_date_and_no_program():
    figure = Figure(figsize=(1, 1))
    svg, png = style.svg_text(figure), style.png_bytes(figure)
    assert "dc:date" not in svg
    assert "Matplotlib" not in svg
    assert b"Software" not in png


def test_a_long_text_loses_its_middle():
    assert style.shortened("a" * 50 + "end", 20) == "a" * 12 + "…" + "aaaa" + "end"
    assert len(style.shortened("x" * 99, 20)) == 20
    assert style.shortened("short", 20) == "short"


def test_a_figure_for_print_has_a_columns_width_and_its_fonts_in_it():
    with style.printed(), style.paper():
        figures = [style.new_figure(width, 2) for width in (style.ONE_COLUMN, style.TWO_COLUMNS)]
        figures[0].subplots().plot([0, 1], label="x")
        pdf = style.pdf_bytes(figures[0])
    assert [figure.get_size_inches()[0] for figure in figures] == [3.3, 6.9]
    assert b"/FontFile2" in pdf
    assert b"STIXGeneral" in pdf
    assert b"/Subtype /Type3" not in pdf
    assert not any(word in pdf for word in (b"CreationDate", b"/Producer", b"/Creator"))


def test_print_ends_with_its_block():
    with style.printed():
        pass
    assert style.new_figure(style.ONE_COLUMN, 1).get_size_inches()[0] == style.ONE_COLUMN


def test_text_on_any_colour_of_the_palette_can_be_read():
    for color in (*style.CYCLE, style.YELLOW, style.SOFT, style.FADED, style.INK, style.PAPER):
        assert style.contrast(style.ink_on(color), color) >= 4.5, color


def test_the_page_has_enough_contrast_in_the_light_in_the_dark_and_in_print():
    css = (Path(style.__file__).parent / "report.css").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    assert len(schemes) == 3
    for colors in schemes:
        for ink in ("ink", "soft", "link"):
            assert min(style.contrast(colors[ink], colors[back]) for back in ("paper", "card")) >= 4.5, ink
        assert style.contrast(colors["paper"], colors["soft"]) >= 4.5
        assert style.contrast(colors["ink"], colors["faded"]) >= 4.5
        assert style.contrast(style.ink_on(style.BLUE), colors["blue"]) >= 4.5
        assert style.contrast(colors["blue"], colors["paper"]) >= 3


def test_black_on_white_is_the_highest_contrast_there_is():
    assert style.contrast("#000000", "#ffffff") == 21
    assert style.contrast("#777777", "#777777") == 1
