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
