"""One page: title, lead, navigation, sections; style and script inside, nothing outside.

The page's own security policy forbids every fetch, and lets only the scripts run whose
digests it names: a name that escaped its escaping would still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from corpuskit.files import write_file
from corpuskit.report.markup import Html, element, joined
from corpuskit.report.palette import declarations

__all__ = ["Page", "Section", "render", "write_page"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what is below it."""

    title: str
    body: Html
    short: str = ""  # for the navigation; the title when empty


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page says, in order."""

    title: str
    lead: str | Html  # the one sentence to read if only one is read
    sections: Sequence[Section]
    footer: str = ""
    language: str = "en"
    style: str = ""  # CSS of its own, after that of every page
    script: str = ""  # of its own, after that of every page


def render(page: Page) -> str:
    """Return the page as one self-contained HTML document."""
    names = _anchors([section.title for section in page.sections])
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(page)),
        element("meta", name="color-scheme", content="light dark"),
        element("title", page.title),
        element("style", Html(_style() + page.style)),
    )
    body = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        _top(page, names),
        element(
            "main",
            *(_section(s, name) for s, name in zip(page.sections, names, strict=True)),
            id="content",
        ),
        element("footer", page.footer) if page.footer else "",
        *(element("script", Html(script)) for script in _scripts(page)),
    )
    return "<!doctype html>\n" + element("html", head, "\n", body, lang=page.language) + "\n"


def write_page(path: Path, page: Page) -> None:
    """Write a page, atomically."""
    write_file(path, render(page).encode())


def _top(page: Page, names: Sequence[str]) -> Html:
    links = [
        element("li", element("a", section.short or section.title, href=f"#{name}"))
        for section, name in zip(page.sections, names, strict=True)
    ]
    return element(
        "header",
        element("h1", page.title),
        element("button", "Dark", id="theme", type="button", hidden=True, aria_pressed="false"),
        element("p", page.lead, class_="lead"),
        element("nav", element("ul", *links), aria_label="Sections") if len(links) > 1 else "",
        class_="top",
    )


def _section(section: Section, name: str) -> Html:
    heading = element("h2", section.title, id=f"{name}-title")
    return joined(
        "\n",
        element("section", heading, section.body, id=name, aria_labelledby=f"{name}-title"),
    )


def _anchors(titles: Sequence[str]) -> list[str]:
    """Return an id for each title: readable where it can be, distinct always."""
    found: list[str] = []
    for number, title in enumerate(titles, start=1):
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or f"section-{number}"
        found.append(f"{plain}-{number}" if plain in (*found, "content", "theme") else plain)
    return found


@cache
def _style() -> str:
    light, dark = declarations(0), declarations(1)
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light])"
        f"{{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n" + _resource("page.css")
    )


@cache
def _script() -> str:
    return _resource("page.js")


def _resource(name: str) -> str:
    return files("corpuskit.report").joinpath(name).read_text(encoding="utf-8")


def _scripts(page: Page) -> list[str]:
    return [script for script in (_script(), page.script) if script]


def _policy(page: Page) -> str:
    digests = (hashlib.sha256(script.encode()).digest() for script in _scripts(page))
    allowed = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in digests)
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; "
        "media-src data:; img-src data:; base-uri 'none'; form-action 'none'"
    )
