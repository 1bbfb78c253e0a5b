"""A picture that matplotlib drew, as a part of a page: its colours, its words and its ids become those of the page.

Pure; what is drawn is decided elsewhere.
"""

import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

INK, SOFT, LINE, HUE, CARD = "#010203", "#020304", "#030405", "#040506", "#050607"
"""Colours to draw with, in place of those of the page."""
OF_PAGE = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)", HUE: "var(--hue)", CARD: "var(--card)"}
SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
REFERENCE = re.compile(r"url\(#([^)]+)\)")
NUMBER = re.compile(r"(-?\d+\.\d{2})\d+")


class Words(NamedTuple):
    """What a picture says to whoever cannot see it.

    Attributes:
        name: Stands in its ids; no other picture of the page has it.
        title: What it shows.
        description: What is to be seen.
    """

    name: str
    title: str
    description: str


def part_of_page(drawn: str, words: Words) -> str:
    """The picture as an element of HTML.

    Args:
        drawn: As matplotlib wrote it, with `svg.fonttype: none`, in the colours above.
        words: What it says.
    """
    root = ET.fromstring(drawn)  # noqa: S314 - it was drawn a moment ago
    _remove(root, "metadata")
    _remove(root, "style")
    prefix = re.sub(r"[^A-Za-z0-9_-]", "_", words.name)
    needed = _referred(root)
    for element in root.iter():
        _adapt(element, prefix, needed)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{prefix}-title {prefix}-told", "class": "picture"}
    root.insert(0, _worded("desc", f"{prefix}-told", words.description))
    root.insert(0, _worded("title", f"{prefix}-title", words.title))
    return _written(root)


def _remove(root: ET.Element, name: str) -> None:
    for parent in list(root.iter()):
        for child in [one for one in parent if one.tag == f"{SVG}{name}"]:
            parent.remove(child)


def _referred(root: ET.Element) -> set[str]:
    """The ids that something in the picture refers to."""
    found: set[str] = set()
    for element in root.iter():
        found |= {one.removeprefix("#") for one in (element.get(f"{XLINK}href"),) if one}
        for value in element.attrib.values():
            found |= set(REFERENCE.findall(value))
    return found


def _adapt(element: ET.Element, prefix: str, needed: set[str]) -> None:
    """Give an element the page's colours and type, and ids that no other picture has."""
    reference = element.attrib.pop(f"{XLINK}href", None)
    if reference is not None:
        element.set("href", f"#{prefix}-{reference.removeprefix('#')}")
    name = element.attrib.pop("id", None)
    if name in needed:
        element.set("id", f"{prefix}-{name}")
    for key, value in element.attrib.items():
        if key == "style":
            element.set(key, _styled(value))
        elif key in ("d", "x", "y", "transform", "points"):
            element.set(key, NUMBER.sub(r"\1", value))
        elif key == "clip-path":
            element.set(key, REFERENCE.sub(rf"url(#{prefix}-\1)", value))


def _styled(style: str) -> str:
    for ours, of_page in OF_PAGE.items():
        style = style.replace(ours, of_page)
    size = re.search(r"font(?:-size)?:[^;]*?([\d.]+)px", style)
    kept = [one.strip() for one in style.split(";") if one.strip() and not one.strip().startswith("font")]
    return "; ".join([*([f"font-size: {size.group(1)}px"] if size else []), *kept])


def _worded(tag: str, name: str, text: str) -> ET.Element:
    element = ET.Element(f"{SVG}{tag}", {"id": name})
    element.text = text
    return element


def _written(root: ET.Element) -> str:
    """As HTML holds it: without namespaces, and without the line breaks between elements."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        element.tail = None
        if element.text is not None and not element.text.strip():
            element.text = None
    return ET.tostring(root, encoding="unicode")
