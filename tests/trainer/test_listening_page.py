"""The page of a listening test: what it gives away, and how it is answered in a browser."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pages
from browser import Browser, browser
from called import Command
from corpuskit.errors import CorpuskitError, Refused
from corpuskit.versions import open_version
from listeners import a_test
from trainer.listening.design import PREFERENCE, SCORE, Key, list_tests, read_key
from trainer.listening.making import Made
from trainer.pages import listening_page as module
from trainer.pages.listening_page import write_test
from training import started

RATE = 16000
needs_chromium = pytest.mark.skipif(pages.chromium() is None, reason="Chromium is not here")


def made(key: Key, seconds: float = 0.25) -> Made:
    """A test whose sounds are short tones, each another."""
    time = np.arange(round(seconds * RATE)) / RATE
    sounds = {
        name: 0.1 * np.sin(2 * np.pi * (200 + 20 * number) * time)
        for number, name in enumerate(sorted(key.stimuli))
    }
    return Made(key=key, sounds=sounds, rate=RATE, asked=len(key.sentences))


def data_of(page: pages.Node) -> dict[str, Any]:
    (script,) = [node for node in page.all("script") if "type" in node.attributes]
    data: dict[str, Any] = json.loads(script.text)
    return data


# --------------------------------------------------------------------------- what it holds


def test_the_page_is_one_file_that_needs_nothing_else(tmp_path: Path) -> None:
    test = made(a_test())

    path = write_test(tmp_path / "page", tmp_path, test)

    assert list((tmp_path / "page").iterdir()) == [path]
    page = pages.check_page(path.read_text(encoding="utf-8"))
    data = data_of(page)
    assert set(data["sounds"]) == set(test.sounds)
    for name, uri in data["sounds"].items():
        samples, rate = pages.decoded(uri)
        assert rate == RATE
        np.testing.assert_allclose(samples / 32768, test.sounds[name], atol=1 / 32768)
    assert [each["id"] for each in data["trials"]] == sorted(test.key.trials)
    assert list(data["sounds"]) == sorted(data["sounds"])


def test_nothing_in_the_folder_names_a_run(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        started(workspace, f"train.seed={seed}")
    folder = tmp_path / "for-listeners"

    result = command("listen", "N2C_1", "N2C_2@last", "--html", str(folder), "--device", "cpu")

    assert result.exit_code == 0, result.stderr
    (test,) = list_tests(workspace)
    key = read_key(workspace, test)
    (path,) = folder.rglob("*")
    written = re.sub(r"data:audio/flac;base64,[^\"]*", "", path.read_text(encoding="utf-8"))
    told = {str(workspace), str(tmp_path), "utt_", "N>C", "N2C", "world", "epoch-"}
    told |= {*key.sentences, *(each.digest for each in key.subjects), key.dataset, key.fingerprint}
    for secret in sorted(told):
        assert secret not in written, secret
    assert test in written
    data = data_of(pages.read(path.read_text(encoding="utf-8")))
    assert set(data) == {"kind", "test", "questions", "trials", "sounds"}
    for trial in data["trials"]:
        assert set(trial) == {"id", "part", "reference", "stimuli"}
    # Nothing of a sound's form tells runs apart either: one rate, one codec, no tags.
    assert {uri.partition(",")[0] for uri in data["sounds"].values()} == {"data:audio/flac;base64"}
    rate = open_version(workspace, "N2C").settings.audio.rate
    assert {pages.decoded(uri)[1] for uri in data["sounds"].values()} == {rate}


def test_a_page_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = write_test(tmp_path / "page", tmp_path, made(a_test()))
    before = path.read_bytes()

    with pytest.raises(Refused, match="may be somebody's test"):
        write_test(tmp_path / "page", tmp_path, made(a_test(seed=1)))

    assert path.read_bytes() == before
    assert len(list_tests(tmp_path)) == 1


def test_without_a_page_there_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise CorpuskitError("cannot write: no space")

    monkeypatch.setattr(module, "write_page", full)

    with pytest.raises(CorpuskitError, match="no space"):
        write_test(tmp_path / "page", tmp_path, made(a_test()))

    assert list_tests(tmp_path) == []


# ------------------------------------------------------------------------------ in a browser

HEARD = "!document.querySelector('#stimuli .row:nth-child({}) .heard').hidden"
SOUNDS = "[...document.querySelectorAll('#stimuli .row')].map((row) => row.dataset.sound)"
STATUS = "document.getElementById('status').textContent"
COUNT = "document.getElementById('count').textContent"
TITLE = "document.querySelector('main h2').textContent"


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "browser") as found:
        yield found


def hurry(shown: Browser) -> None:
    """Play everything four times as fast."""
    shown.ask("{ const s = document.getElementById('sound'); s.defaultPlaybackRate = 4; }")


def begin(shown: Browser, page: Path, listener: str) -> None:
    shown.open(page)
    hurry(shown)
    shown.click("#listener")
    shown.write(listener)
    shown.click("#begin")


def listen_to_all(shown: Browser) -> list[str]:
    """Play every sound of a screen to its end, by clicks; returns the sounds."""
    sounds: list[str] = shown.ask(SOUNDS)
    for place in range(1, len(sounds) + 1):
        shown.click(f"#stimuli .row:nth-child({place}) .play")
        shown.wait(HEARD.format(place))
    return sounds


def worth(key: Key, sound: str) -> int:
    """The second run is better than the first."""
    each = key.stimuli[sound]
    if each.subject is not None:
        return 3 + each.subject
    return {"hidden": 5, "anchor": 1}[each.role]


def answer(shown: Browser, key: Key, *, keys: bool) -> None:
    """Listen, and judge as `worth` does, by clicks or by keys."""
    _, *sounds = listen_to_all(shown)
    if shown.ask("document.getElementById('choices').hidden"):
        score(shown, [worth(key, each) for each in sounds], keys=keys)
    elif keys:
        shown.press("b" if worth(key, sounds[1]) > worth(key, sounds[0]) else "a")
    else:
        shown.click("#second" if worth(key, sounds[1]) > worth(key, sounds[0]) else "#first")
    assert shown.ask(STATUS) == "Answered. You may still change it, or go on."


def score(shown: Browser, values: list[int], *, keys: bool) -> None:
    if keys:
        for _ in range(2 * len(values) + 1):
            shown.press("ArrowUp")  # to the reference
        shown.press("ArrowDown")
        for value in values:
            shown.press(str(value))
            shown.press(str(value))
        return
    for place, value in enumerate(values, start=2):
        for scale in (1, 2):
            at = f"#stimuli .row:nth-child({place}) .scale:nth-of-type({scale})"
            shown.click(f"{at} button:nth-of-type({value})")


@needs_chromium
def test_from_the_first_click_to_the_score(
    command: Command, workspace: Path, tmp_path: Path, chromium: Browser
) -> None:
    for seed in (0, 1):
        started(workspace, f"train.seed={seed}")
    command("listen", "N2C_1", "N2C_2", "--html", str(tmp_path / "page"), "--device", "cpu")
    key = read_key(workspace, list_tests(workspace)[0])
    chromium.look(1280)
    begin(chromium, tmp_path / "page" / "index.html", "Änna 1")

    for number in range(len(key.trials)):
        assert chromium.ask(COUNT) == f"{number} of 4 answered"
        answer(chromium, key, keys=bool(number % 2))
        chromium.click("#next")
    assert chromium.ask(TITLE) == "All is answered"
    chromium.click("#save")
    file = chromium.downloaded("answers-*.json")
    assert file.name == f"answers-{key.test}-Änna-1.json"

    result = command("listen", "--score", str(file), "--json")

    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    (between,) = told["figures"]["between"]
    assert between["preference"]["losses"] == 2
    assert between["preference"]["wins"] == 0
    means = {name: each["naturalness"]["mean"] for name, each in told["figures"]["means"].items()}
    assert means == {"0": 3.0, "1": 4.0, "reference": 5.0, "anchor": 1.0}
    assert told["listeners"] == ["Änna 1"]
    assert told["partial"] == []
    assert chromium.problems == []


@needs_chromium
def test_nothing_is_judged_unheard_and_nothing_saved_unsaid(
    tmp_path: Path, chromium: Browser
) -> None:
    key = a_test(tmp_path, sentences=2)
    page = write_test(tmp_path / "page", tmp_path, made(key))
    chromium.look(420)
    chromium.open(page)
    chromium.click("#begin")
    assert chromium.ask(STATUS) == "Please enter your name or code first."
    begin(chromium, page, "ben")

    chromium.press("a")
    chromium.click("#first")
    assert chromium.ask(STATUS) == "Still to hear to the end: Reference, A, B."
    assert chromium.ask(COUNT) == "0 of 4 answered"
    chromium.press(" ")  # the reference is in hand
    chromium.wait(HEARD.format(1))
    chromium.press("ArrowDown")
    chromium.press(" ")
    chromium.wait(HEARD.format(2))
    chromium.press("b")
    assert chromium.ask(STATUS) == "Still to hear to the end: B."
    chromium.press("ArrowDown")
    chromium.press(" ")
    chromium.wait(HEARD.format(3))
    chromium.press("0")
    assert chromium.ask(COUNT) == "1 of 4 answered"

    chromium.click("#finish")
    assert chromium.ask(TITLE) == "Not all is answered yet"
    assert (
        chromium.ask("document.getElementById('unanswered').textContent") == "3 of 4 are missing:"
    )
    places = chromium.ask("document.getElementById('which').textContent")
    assert places == "234"
    chromium.click("#which button:nth-of-type(2)")
    assert chromium.ask("document.getElementById('where').textContent") == "3 of 4"
    assert chromium.ask(TITLE) == "How good is each?"
    chromium.click("#finish")
    chromium.click("#save")

    answers = json.loads(chromium.downloaded("answers-*.json").read_text())
    assert (answers["answered"], answers["trials"]) == (1, 4)
    assert list(answers["chosen"].values()) == [None]
    assert answers["scores"] == {}
    assert chromium.problems == []


@needs_chromium
def test_the_space_bar_plays_and_pauses(tmp_path: Path, chromium: Browser) -> None:
    key = a_test(tmp_path, sentences=1)
    page = write_test(tmp_path / "page", tmp_path, made(key, seconds=3.0))
    chromium.look(1280)
    begin(chromium, page, "eve")
    chromium.press(" ")
    chromium.wait("document.getElementById('sound').currentTime > 0.2")
    chromium.press(" ")
    chromium.wait("document.getElementById('sound').paused")
    held = chromium.ask("document.getElementById('sound').currentTime")
    assert chromium.ask(STATUS) == "Still to hear to the end: Reference, A, B."

    chromium.press(" ")
    chromium.wait(f"document.getElementById('sound').currentTime > {held}")
    chromium.press("ArrowDown")
    chromium.press(" ")  # another sound: the reference was not heard to its end
    chromium.wait(HEARD.format(2))

    assert chromium.ask(STATUS) == "Still to hear to the end: Reference, B."
    assert chromium.problems == []


@needs_chromium
def test_a_reload_keeps_answers_and_the_next_listener_begins_anew(
    tmp_path: Path, chromium: Browser
) -> None:
    key = a_test(tmp_path, sentences=2, parts=(PREFERENCE,))
    page = write_test(tmp_path / "page", tmp_path, made(key))
    begin(chromium, page, "carl")
    sounds = listen_to_all(chromium)
    chromium.press("a")
    chromium.press("ArrowRight")
    second = chromium.ask(SOUNDS)

    chromium.open(page)

    assert chromium.ask(SOUNDS) == second
    assert chromium.ask(COUNT) == "1 of 2 answered"
    chromium.press("ArrowLeft")
    assert chromium.ask(SOUNDS) == sounds
    assert chromium.ask("document.getElementById('first').getAttribute('aria-pressed')") == "true"
    chromium.press("ArrowRight")
    hurry(chromium)
    listen_to_all(chromium)
    chromium.press("b")
    chromium.press("ArrowRight")
    chromium.click("#save")
    first = json.loads(chromium.downloaded("answers-*carl.json").read_text())
    chromium.click("#again")
    assert chromium.ask(TITLE) == "All is answered"  # it asks first
    chromium.click("#again")
    assert chromium.ask(TITLE) == "Before you begin"
    assert chromium.ask("document.getElementById('listener').value") == ""
    assert chromium.ask(COUNT) == "0 of 2 answered"
    state = json.loads(chromium.ask(f"localStorage.getItem('listening-{key.test}')"))
    assert state["session"] != first["session"]
    assert state["chosen"] == {}


@pytest.mark.slow
@needs_chromium
def test_every_listener_meets_an_order_of_their_own_and_every_order_is_balanced(
    tmp_path: Path, chromium: Browser
) -> None:
    key = a_test(tmp_path, runs=2, sentences=4)
    page = write_test(tmp_path / "page", tmp_path, made(key))
    chromium.open(page)
    orders, firsts, screens = set(), set(), Counter()
    for seed in range(16):
        state = json.dumps({"seed": seed, "at": 0})
        chromium.ask(f"localStorage.setItem('listening-{key.test}', {json.dumps(state)})")
        chromium.open(page)
        met = []
        for _ in key.trials:
            met.append(chromium.ask(SOUNDS)[1:])
            chromium.press("ArrowRight")
        pairs = [each for each in met if len(each) == 2]
        first = [key.stimuli[a].subject for a, _ in pairs]
        assert sorted(str(each) for each in first) == ["0", "0", "1", "1"]
        assert [len(each) for each in met] == [2] * 4 + [4] * 4  # comparisons come first
        orders.add(tuple(a for a, _ in pairs))
        sentence = {key.stimuli[a].sentence: key.stimuli[a].subject for a, _ in pairs}
        firsts.add(sentence["s0"])
        screens.update(key.stimuli[each[0]].role for each in met if len(each) == 4)
    assert len(orders) > 10
    assert firsts == {0, 1}  # the same sentence, either way round
    # Of 64 screens the first sound is a run's on 32, the hidden reference and the anchor on 16.
    assert screens["run"] == pytest.approx(32, abs=14)
    assert screens["hidden"] == pytest.approx(16, abs=11)
    assert chromium.problems == []


@needs_chromium
@pytest.mark.parametrize("width", [420, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_and_a_laptop(
    tmp_path: Path, chromium: Browser, width: int, dark: bool
) -> None:
    key = a_test(tmp_path, runs=3, sentences=1, parts=(SCORE,))
    page = write_test(tmp_path / "page", tmp_path, made(key))
    chromium.look(width, dark=dark)
    begin(chromium, page, "dora")

    assert chromium.ask("document.documentElement.scrollWidth") <= width
    heights = chromium.ask(
        "[...document.querySelectorAll('.test button')].filter((each) => each.offsetParent)"
        ".map((each) => each.getBoundingClientRect().height)"
    )
    assert len(heights) > 50
    assert min(heights) >= 44  # what a thumb hits
    paper = chromium.ask("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark
    assert chromium.problems == []
