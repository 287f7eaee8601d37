"""A figure's SVG made fit to stand inside an HTML page: ids of its own, and colours that follow the page's light and dark."""

import re
from collections.abc import Mapping
from typing import Final

from markupsafe import Markup, escape

_HEAD: Final = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA: Final = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SIZE: Final = re.compile(r'(<svg[^>]*?) width="[^"]*"([^>]*?) height="[^"]*"|(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"')
_ID: Final = re.compile(r'(\bid="|url\(#|xlink:href="#)')


def inline_svg(svg: str, name: str, label: str, colors: Mapping[str, str]) -> Markup:
    """The <svg> element; `name` goes before every id, `label` is read out by a screen reader, `colors` maps old to new ones."""
    body = _METADATA.sub("", _HEAD.sub("", svg, count=1), count=1)
    body = _SIZE.sub(lambda found: "".join(part or "" for part in found.groups()), body, count=1)
    body = _ID.sub(lambda found: f"{found.group(1)}{name}-", body)
    for old, new in colors.items():
        body = body.replace(old, new)
    return Markup(body.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1).strip())  # noqa: S704 - our own figure
