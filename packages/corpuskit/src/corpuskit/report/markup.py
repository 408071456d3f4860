"""Markup as values: whatever is not `Html` already is text, and is escaped.

Names of recordings and speakers are untrusted, so there is no other way to make markup than
`element`, and no way to put text into it unescaped but `Html(...)` written out in the code.
"""

from __future__ import annotations

import html
import re

__all__ = ["Html", "element", "escape", "joined"]

_VOID = {"br", "col", "hr", "img", "input", "link", "meta"}
# Neither HTML nor UTF-8 has these: control characters, lone surrogates, non-characters.
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Return text as markup that shows it; markup is returned as it is."""
    if isinstance(text, Html):
        return text
    return Html(html.escape(_IMPOSSIBLE.sub("\ufffd", str(text)), quote=True))


def joined(*parts: object) -> Html:
    """Return parts one after the other, each escaped unless it is markup."""
    return Html("".join(escape(part) for part in parts))


def element(tag: str, /, *children: object, **attributes: object) -> Html:
    """Return an element; its children are escaped unless they are markup.

    Attributes are written in the order given. `class_` is "class", `data_of` is "data-of";
    True is an attribute without a value, None and False leave it out.
    """
    written = "".join(
        f" {key}" if value is True else f' {key}="{escape(str(value))}"'
        for key, value in (
            (key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items()
        )
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{joined(*children)}</{tag}>")
