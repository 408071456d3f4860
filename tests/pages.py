"""Pages read back as a browser reads them: a tree, its sounds, and what it would fetch."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import soundfile as sf

VOID = {"br", "col", "hr", "img", "input", "link", "meta"}
FETCHES = ("src", "href", "action", "poster", "data", "srcset", "xlink:href")


@dataclass
class Node:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    def all(self, tag: str | None = None, **wanted: str) -> list[Node]:
        """Every element below with this tag and these attributes (`class_` holds the word)."""
        return [node for node in self.below() if _fits(node, tag, wanted)]

    def below(self) -> Iterator[Node]:
        for child in self.children:
            if isinstance(child, Node):
                yield child
                yield from child.below()

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)


def _fits(node: Node, tag: str | None, wanted: dict[str, str]) -> bool:
    for key, value in wanted.items():
        held = node.attributes.get(key.rstrip("_").replace("_", "-"))
        if held is None or value not in (held.split() if key == "class_" else [held]):
            return False
    return tag in (None, node.tag)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("document")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(html: str) -> Node:
    """The tree of a page; an element that is not closed in order is a failure."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is never closed"
    return reader.open[0]


def check_page(html: str) -> Node:
    """Hold a page to what every page owes: well-formed, self-contained, ids and labels that fit."""
    page = read(html)
    ids = [node.attributes["id"] for node in page.below() if "id" in node.attributes]
    assert len(ids) == len(set(ids)), "an id twice"
    for node in page.below():
        for name in FETCHES:
            value = node.attributes.get(name, "data:")
            assert value.startswith(("#", "data:")), f"<{node.tag} {name}={value[:60]}>"
            if value.startswith("#"):
                assert value[1:] in ids, value
        for name in ("for", "data-of", "data-sound", "aria-labelledby"):
            assert node.attributes.get(name, ids[0]) in ids, f"{name}={node.attributes[name]}"
        assert not any(name.startswith("on") for name in node.attributes), node.attributes
        if node.tag in ("audio", "svg", "nav"):
            assert node.attributes.get("aria-label"), f"<{node.tag}> without a label"
    written = "".join(node.text for node in page.all("style") + page.all("script"))
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest|import\(", written)
    return page


def sounds(page: Node) -> dict[str, tuple[np.ndarray, int]]:
    """Every player's int16 samples and rate by its id."""
    return {node.attributes["id"]: decoded(node.attributes["src"]) for node in page.all("audio")}


def decoded(uri: str) -> tuple[np.ndarray, int]:
    _, _, data = uri.partition("base64,")
    samples, rate = sf.read(io.BytesIO(base64.b64decode(data)), dtype="int16")
    return samples, rate


def chromium() -> str | None:
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def console_of(page: Path, profile: Path, *, width: int = 1280, query: str = "") -> list[str]:
    """What Chromium says on its console while it shows a page (empty when all is well)."""
    return in_browser(page, profile, width=width, query=query)[1]


def in_browser(
    page: Path, profile: Path, *, width: int = 1280, query: str = ""
) -> tuple[Node, list[str]]:
    """The page as it is once Chromium has run its script, and what it says on its console."""
    said = subprocess.run(
        [
            str(chromium()),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--v=0",
            f"--user-data-dir={profile}",
            f"--window-size={width},900",
            "--virtual-time-budget=3000",
            "--dump-dom",
            f"{page.as_uri()}{query}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert 'id="content"' in said.stdout
    return read(said.stdout), [line for line in said.stderr.splitlines() if "CONSOLE" in line]
