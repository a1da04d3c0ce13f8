"""The drawings of the documentation, and the warnings of the guide to wiring."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = ROOT / "docs" / "wiring.md"
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL_DRAWINGS: Final = sorted((ROOT / "docs").rglob("*.svg"))
OF_WIRING: Final = sorted((ROOT / "docs" / "wiring").glob("*.svg"))

SVG: Final = "{http://www.w3.org/2000/svg}"
#: What draws. Anything else could load something, run, or bring other text in.
ELEMENT: Final = re.compile(
    SVG + "(?:svg|title|desc|style|defs|pattern|g|rect|circle|path|text|tspan)"
)
LINK: Final = re.compile(r"(!?)\[([^]]*)\]\(([^)\s]+)\)")
REFERENCE: Final = re.compile(r"url\(\s*(.*?)\s*\)|@import|\b\w+://|\bdata:")

by_name = pytest.mark.parametrize("drawing", OF_WIRING, ids=lambda path: path.name)


def links(page: Path) -> Iterator[tuple[bool, str, str]]:
    """Whether it is an image, its words, and where it leads to, for each link of a page."""
    for mark, words, target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            yield bool(mark), words, unquote(target)


def images(page: Path) -> set[Path]:
    found = {page.parent / target for is_image, _, target in links(page) if is_image}
    return {path.resolve() for path in found}


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return words.replace(" ", "-")


def texts(root: ET.Element) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("drawing", ALL_DRAWINGS, ids=lambda path: path.name)
def test_a_drawing_is_well_formed_and_only_draws(drawing: Path) -> None:
    source = drawing.read_text(encoding="utf-8")
    root = ET.fromstring(source)
    assert [tag for tag in {e.tag for e in root.iter()} if not ELEMENT.fullmatch(tag)] == []
    assert "<!" not in source
    assert "<?" not in source


@pytest.mark.parametrize("drawing", ALL_DRAWINGS, ids=lambda path: path.name)
def test_a_drawing_refers_to_nothing_but_its_own_parts(drawing: Path) -> None:
    root = ET.fromstring(drawing.read_text(encoding="utf-8"))
    own = {f"#{element.get('id')}" for element in root.iter() if element.get("id")}
    for element in root.iter():
        assert not [name for name in element.attrib if name.endswith(("href", "src"))]
        assert not [name for name in element.attrib if name.startswith("on")]
        sheet = element.text or "" if element.tag == f"{SVG}style" else ""
        for value in (*element.attrib.values(), sheet):
            for match in REFERENCE.finditer(value):
                assert match[1] in own, f"{match[0]} in <{element.tag}>"


@by_name
def test_a_drawing_of_wiring_says_in_words_what_it_shows(drawing: Path) -> None:
    root = ET.fromstring(drawing.read_text(encoding="utf-8"))
    assert root.get("role") == "img"
    for name, words in (("title", 4), ("desc", 20)):
        (element,) = root.findall(SVG + name)
        assert element.get("id") in (root.get("aria-labelledby") or "").split()
        assert len((element.text or "").split()) >= words


@by_name
def test_a_drawing_of_wiring_warns_of_the_mains_before_anything_else(drawing: Path) -> None:
    first, *others = texts(ET.fromstring(drawing.read_text(encoding="utf-8")))
    assert first.startswith("MAINS VOLTAGE.")
    assert others


@by_name
def test_a_drawing_of_wiring_can_be_read_on_a_dark_page(drawing: Path) -> None:
    root = ET.fromstring(drawing.read_text(encoding="utf-8"))
    background = root.findall(f"{SVG}rect")[0]
    size = [root.get("width"), root.get("height")]
    assert root.get("viewBox") == " ".join(["0 0", *map(str, size)])
    assert [background.get("width"), background.get("height")] == size
    assert (background.get("x"), background.get("y")) == (None, None)
    assert re.fullmatch("#(?:[ef][0-9a-f]){3}", background.get("fill", ""))


def test_the_guide_shows_each_drawing_of_wiring_that_there_is() -> None:
    assert OF_WIRING
    assert images(GUIDE) == {path.resolve() for path in OF_WIRING}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_each_image_that_a_page_shows_is_there_and_has_words_for_those_who_cannot_see_it(
    page: Path,
) -> None:
    assert [path for path in images(page) if not path.is_file()] == []
    assert [
        target for is_image, words, target in links(page) if is_image and not words
    ] == []


def test_the_guide_warns_of_the_mains_in_each_section_before_it_shows_or_connects() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    about_mains = guide[: guide.index("\n## Known and inferred")]
    silent = []
    for section in re.split(r"^#{1,3} ", about_mains, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        told = re.search(r"!\[|[Cc]onnect|[Ss]older|[Jj]oin", body)
        warned = re.search(r"⚠.*mains voltage", heading + body, flags=re.IGNORECASE)
        if told and (warned is None or told.start() + len(heading) < warned.start()):
            silent.append(heading)
    assert silent == []


def test_each_link_to_a_heading_of_the_guide_leads_to_one() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    there = {anchor(line) for line in re.findall(r"^#+ (.*)$", guide, flags=re.MULTILINE)}
    wanted = {
        (page.name, target.partition("#")[2])
        for page in PAGES
        for _, _, target in links(page)
        if "#" in target
        and (page.parent / (target.partition("#")[0] or page.name)).resolve() == GUIDE
    }
    assert len(wanted) > 1
    assert sorted(link for link in wanted if link[1] not in there) == []
