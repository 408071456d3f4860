"""Chromium driven as a person would: clicks, keys, sounds, downloads, and what it complains of.

It speaks the DevTools protocol over the two pipes of `--remote-debugging-pipe`: JSON messages,
each ended by a zero byte. https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pages import chromium

PATIENCE = 30.0  # seconds for anything to happen
KEYS = {
    " ": ("Space", 32),
    "ArrowDown": ("ArrowDown", 40),
    "ArrowUp": ("ArrowUp", 38),
    "ArrowLeft": ("ArrowLeft", 37),
    "ArrowRight": ("ArrowRight", 39),
}


class Browser:
    """One page of a headless browser."""

    def __init__(self, to: int, back: int, downloads: Path) -> None:
        self._to, self._back = to, back
        self._buffer, self._count = b"", 0
        self._session = ""
        self._loaded = 0
        self.problems: list[str] = []  # errors and warnings of the console
        self.downloads = downloads
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")
        where = str(downloads)
        self._ask("Page.setDownloadBehavior", behavior="allow", downloadPath=where)

    def look(self, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Set the window's size and theme; narrow ones are phones."""
        phone = width < 600
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, page: Path) -> None:
        """Open a page, or open it anew."""
        before = self._loaded
        self._ask("Page.navigate", url=page.as_uri())
        end = time.monotonic() + PATIENCE
        while self._loaded == before:
            self._hear(end)

    def ask(self, expression: str) -> Any:
        """Return what an expression gives, as JSON would carry it."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + PATIENCE
        while not self.ask(expression):
            assert time.monotonic() < end, (
                f"never: {expression}\n{self.ask('document.body.innerText')}"
            )
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Click the middle of what a selector finds, which must be there to be hit."""
        place = self.ask(
            f"""(() => {{
              const node = document.querySelector({json.dumps(selector)});
              if (!node) return null;
              node.scrollIntoView({{ block: "center" }});
              const box = node.getBoundingClientRect();
              const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
              return node.contains(document.elementFromPoint(x, y)) ? [x, y] : "covered";
            }})()"""
        )
        assert isinstance(place, list), f"{selector}: {place or 'not there'}"
        x, y = place
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press and release a key."""
        code, number = KEYS.get(key, (f"Key{key.upper()}", ord(key.upper()[0])))
        told = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        text = {"text": key} if len(key) == 1 else {}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **told)

    def write(self, text: str) -> None:
        """Type text into what has the focus."""
        self._ask("Input.insertText", text=text)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is to be seen as a PNG; `whole` takes the page beyond the window, too."""
        found = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def downloaded(self, pattern: str) -> Path:
        """Wait for a download to be whole; returns its path."""
        end = time.monotonic() + PATIENCE
        while True:
            found = sorted(self.downloads.glob(pattern))
            if found and not list(self.downloads.glob("*.crdownload")):
                return found[-1]
            assert time.monotonic() < end, f"no {pattern} in {sorted(self.downloads.iterdir())}"
            time.sleep(0.02)

    def _ask(self, method: str, **given: Any) -> dict[str, Any]:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": given}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            found = self._hear(end)
            if found.get("id") == self._count:
                assert "error" not in found, f"{method}: {found['error']}"
                result: dict[str, Any] = found["result"]
                return result

    def _hear(self, end: float) -> dict[str, Any]:
        """Return the next message; keep what it complains of."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._back], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser says nothing"
            part = os.read(self._back, 1 << 20)
            assert part, "the browser ended"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, told: dict[str, Any]) -> None:
        self._loaded += method == "Page.loadEventFired"
        said = method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning")
        if said or method in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.problems.append(json.dumps(told)[:500])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start Chromium with its profile and downloads in a folder; it is gone afterwards."""
    downloads = folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    program = str(chromium())
    arguments = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--mute-audio",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder / 'profile'}",
    ]
    its_input, to = (_high(each) for each in os.pipe())
    back, its_output = (_high(each) for each in os.pipe())
    actions = [
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, its_input, 3),  # where Chromium looks for them
        (os.POSIX_SPAWN_DUP2, its_output, 4),
    ]
    process = os.posix_spawn(program, arguments, dict(os.environ), file_actions=actions)
    os.close(its_input)
    os.close(its_output)
    try:
        yield Browser(to, back, downloads)
    finally:
        os.close(to)  # which ends it
        os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)
        os.close(back)


def _high(descriptor: int) -> int:
    """Move a descriptor out of the way of 3 and 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(descriptor)
    return moved
