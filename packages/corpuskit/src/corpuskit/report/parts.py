"""The words of a page: paragraphs, notices, facts, tables, what can be folded away."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from corpuskit.report.markup import Html, element, joined

__all__ = ["columns", "details", "facts", "heading", "notice", "paragraph", "table"]

Content = str | Html


def paragraph(*text: Content, faint: bool = False) -> Html:
    """Return a paragraph."""
    return element("p", *text, class_="faint" if faint else None)


def heading(text: Content) -> Html:
    """Return a heading inside a section."""
    return element("h3", text)


def notice(
    kind: Literal["good", "warning", "bad", "plain"], title: Content, *text: Content
) -> Html:
    """Return a marked box: a title that says it, and what explains it (a paragraph each)."""
    return element(
        "div",
        element("strong", title),
        *(element("div", line) for line in text),
        class_=f"notice {kind}",
        role="note",
    )


def facts(values: Mapping[str, Content]) -> Html:
    """Return names and values, line by line."""
    rows = ((element("dt", key), element("dd", value)) for key, value in values.items())
    return element("dl", *itertools.chain.from_iterable(rows), class_="facts")


def details(summary: Content, *body: Content, is_open: bool = False) -> Html:
    """Return something folded away behind its summary."""
    return element("details", element("summary", summary), *body, open=is_open)


def columns(*parts: Content) -> Html:
    """Return parts side by side where the window is wide enough, else one below the other."""
    return element("div", *(element("div", part) for part in parts), class_="columns")


def table(
    header: Sequence[Content],
    rows: Sequence[Sequence[Content]],
    *,
    caption: Content = "",
    marked: Iterable[int] = (),
) -> Html:
    """Return a table; columns of numbers are flush right, a wide one scrolls by itself.

    The first column names the row. `marked` rows stand out.
    """
    flush = [bool(rows) and all(_numeric(row[k]) for row in rows) for k in range(len(header))]
    chosen = set(marked)
    head = element(
        "tr",
        *(
            element("th", cell, scope="col", class_="number" if number else None)
            for cell, number in zip(header, flush, strict=True)
        ),
    )
    body = [_row(row, flush, marked=index in chosen) for index, row in enumerate(rows)]
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else "",
            element("thead", head),
            element("tbody", *body),
        ),
        class_="wide",
        tabindex="0",
        role="region",
        aria_label=caption or joined(*header[:1], " table"),
    )


def _row(row: Sequence[Content], flush: Sequence[bool], *, marked: bool) -> Html:
    cells = [
        element("td", cell, class_="number" if number else None)
        for cell, number in zip(row, flush, strict=True)
    ]
    if row:
        cells[0] = element("th", row[0], scope="row", class_="number" if flush[0] else None)
    return joined("\n", element("tr", *cells, class_="marked" if marked else None))


def _numeric(cell: Content) -> bool:
    return not isinstance(cell, Html) and cell[:1] in "+-\u22120123456789" and cell != ""
