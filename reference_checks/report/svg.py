"""Matplotlib's figures as SVG that belongs in a page.

Text stays text in the page's own fonts, colours are the page's (so that a dark page has
dark charts), every mark may have a tooltip, and the picture has a title and a description
for those who do not see it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from reference_checks.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
LINK = "http://www.w3.org/1999/xlink"
# fmt: off
COLOURS = (
    "ink", "soft", "line", "paper", "link", "fail", "open", "pass", "s1", "s2", "s3", "s4",
)
# fmt: on
"""The custom properties of `style.css` that charts may use."""
STAND_INS = {name: f"#0101{number:02x}" for number, name in enumerate(COLOURS, start=1)}
MISSING = (
    "the charts of the pages need matplotlib, which is not installed:"
    " pip install 'paperspec[report]'"
)


@dataclass(frozen=True)
class Chart:
    """A picture for wide and one for narrow screens, and what is said below them."""

    wide: str
    narrow: str
    caption: str


def require() -> None:
    """Raises InputError, which says what to install, where there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError(MISSING) from None


def colour(name: str) -> str:
    """What stands for a colour of the page until the figure is written."""
    return STAND_INS[name]


def figure(width: float, height: float) -> Figure:
    """An empty figure in the page's style, in CSS pixels."""
    require()
    from matplotlib.figure import Figure

    return Figure(
        (width / 72, height / 72), dpi=72, facecolor="none", layout="constrained"
    )


def axes_of(drawn: Figure, size: float) -> Axes:
    """The figure's axes with letters of `size` pixels, a base line and quiet rules."""
    axes = drawn.subplots()
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colour("soft"))
    axes.grid(axis="y", color=colour("line"), linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(
        which="both", length=0, labelsize=size, labelcolor=colour("soft"), pad=6
    )
    axes.tick_params(axis="x", which="both", length=3, color=colour("soft"))
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=colour("soft"), fontsize=size)
    return axes


def render(
    drawn: Figure, name: str, title: str, description: str,
    tips: Mapping[str, Sequence[str]],
) -> str:  # fmt: skip
    """The figure as an `svg` element; `name` begins the ids that it needs.

    `tips` has, for the gid of an artist, the tooltips of its marks in their order.
    """
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        drawn.savefig(file, format="svg", metadata={"Date": None})
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    root = ElementTree.fromstring(file.getvalue())
    for child in list(root):
        if child.tag.endswith("}metadata"):
            root.remove(child)
    _tooltips(root, tips)
    _rename(root, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-description",
        "stroke-linejoin": "round",
    }
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}")
        element.set("id", f"{name}-{'title' if tag == 'title' else 'description'}")
        element.text = text
        root.insert(position, element)
    return _themed(ElementTree.tostring(root, encoding="unicode"))


def _tooltips(root: ElementTree.Element, tips: Mapping[str, Sequence[str]]) -> None:
    groups = {element.get("id"): element for element in root.iter()}
    for gid, texts in tips.items():
        marks = list(_marks(groups[gid]))
        for mark, text in zip(marks, texts, strict=True):
            ElementTree.SubElement(mark, f"{{{SVG}}}title").text = text


def _marks(element: ElementTree.Element):
    """What is drawn in a group; not the shapes that are only defined there."""
    for child in element:
        if child.tag in (f"{{{SVG}}}use", f"{{{SVG}}}path"):
            yield child
        elif child.tag != f"{{{SVG}}}defs":
            yield from _marks(child)


def _rename(root: ElementTree.Element, name: str) -> None:
    """Ids that something refers to are made the figure's own; the others are dropped."""
    used = set(re.findall(r"#([\w-]+)", " ".join(
        value for element in root.iter() for key, value in element.attrib.items()
        if key != "style" or "url" in value
    )))  # fmt: skip
    for element in root.iter():
        # A style for every element of the page is no part of a picture in it.
        for child in [c for c in element if c.tag == f"{{{SVG}}}style"]:
            element.remove(child)
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif "#" in value and (key.endswith("href") or "url(" in value):
                element.set(key, re.sub(r"#([\w-]+)", rf"#{name}-\1", value))


def _themed(text: str) -> str:
    for name, stand_in in STAND_INS.items():
        text = text.replace(stand_in, f"var(--{name})")
    return re.sub(r"font-family: [^;\"]+;? ?", "", text)
