"""A listening test as a page: the sounds inside under random names, and nothing of the runs."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from corpuskit.errors import CorpuskitError, Refused
from corpuskit.report.markup import Html, element, joined
from corpuskit.report.page import Page, Section, write_page
from corpuskit.report.parts import details, notice
from corpuskit.report.sound import sound_uri
from trainer.listening.answers import ANSWERS
from trainer.listening.design import PREFERENCE, QUESTIONS, SCORE, key_path, write_key
from trainer.listening.making import Made

__all__ = ["check_free", "listening_page", "write_test"]

# What the five scores mean: ITU-T P.800's listening quality scale, and its like for a voice.
WORDS = {
    "naturalness": ("Natural?", ("bad", "poor", "fair", "good", "excellent")),
    "similarity": ("Same voice?", ("another", "unlike", "similar", "close", "the same")),
}


def write_test(folder: Path, workspace: Path, made: Made) -> Path:
    """Write `index.html` into a folder and the key into the workspace; returns the page's path.

    The key is written first: without it nobody could ever read the answers.

    Raises
    ------
    Refused
        The folder has a page already: somebody may be answering it.
    CorpuskitError
        The disk refused; then there is no key either.
    """
    path = check_free(folder)
    write_key(workspace, made.key)
    try:
        write_page(path, listening_page(made))
    except CorpuskitError:
        key_path(workspace, made.key.test).unlink(missing_ok=True)
        raise
    return path


def check_free(folder: Path) -> Path:
    """Return where the page goes.

    Raises
    ------
    Refused
        There is one.
    """
    path = folder / "index.html"
    if path.exists():
        raise Refused(f"{path} exists already, and may be somebody's test", "choose another folder")
    return path


def listening_page(made: Made) -> Page:
    """Return the page of a test. Whatever stands in it, a listener may read."""
    pairs, screens = (len(made.key.part(part)) for part in (PREFERENCE, SCORE))
    asked = [f"{pairs} comparisons of two"] * bool(pairs)
    asked += [f"{screens} sentences to score"] * bool(screens)
    minutes = max(1, round(made.seconds / 60))
    return Page(
        title="Listening test",
        lead=f"{' and '.join(asked)}, about {minutes} min. Your answers stay in this browser until "
        "you save them, so you may stop and go on later.",
        sections=[Section(title="Before you begin", body=_body(made))],
        footer=f"Test {made.key.test}",
        style=_resource("listening.css"),
        script=_resource("listening.js"),
    )


def _resource(name: str) -> str:
    return files("trainer.pages").joinpath(name).read_text(encoding="utf-8")


def _body(made: Made) -> Html:
    return element(
        "div",
        element("progress", id="progress", value="0", max="1", aria_label="answered"),
        element("p", "", id="count", class_="faint"),
        _start(),
        _trial(),
        _end(),
        element(
            "div",
            element("p", "", id="status", class_="status", role="status", aria_live="polite"),
            _steps(),
            class_="foot",
        ),
        element("audio", id="sound", preload="auto", aria_label="what is playing"),
        element("noscript", notice("bad", "This test needs JavaScript.")),
        element("script", _data(made), type="application/json", id="listening-test"),
        class_="test",
    )


def _data(made: Made) -> Html:
    """Return what the script works on. Sorted by random ids, so that no order tells anything."""
    trials = made.key.trials
    heard = sorted({name for each in trials.values() for name in (each.reference, *each.stimuli)})
    data: dict[str, Any] = {
        "kind": ANSWERS,
        "test": made.key.test,
        "questions": [
            {"name": name, "title": WORDS[name][0], "words": WORDS[name][1]} for name in QUESTIONS
        ],
        "trials": [
            {
                "id": name,
                "part": trials[name].part,
                "reference": trials[name].reference,
                "stimuli": trials[name].stimuli,
            }
            for name in sorted(trials)
        ],
        "sounds": {name: sound_uri(made.sounds[name], made.rate) for name in heard},
    }
    return Html(json.dumps(data).replace("<", "\\u003c"))


def _button(name: str, words: str, *, main: bool = False, far: bool = False) -> Html:
    kind = " ".join(["main"] * main + ["far"] * far)
    return element("button", words, id=name, type="button", class_=kind or None)


def _screen(name: str, *parts: Html) -> Html:
    return element("div", *parts, id=name, class_="screen", hidden=True)


def _start() -> Html:
    steps = (
        "Sit in a quiet room and put on headphones.",
        "Play the sound check, set a comfortable volume, and leave it.",
        "Listen to every sound to its end before you judge; play it as often as you like.",
        "Judge what you hear. There are no right answers.",
    )
    name = element("input", id="listener", autocomplete="off", maxlength="60", type="text")
    return _screen(
        "start",
        element("ol", *(element("li", step) for step in steps)),
        element("div", id="check", class_="bar"),
        element("label", "Your name or code", name, for_="listener"),
        element("div", _button("begin", "Begin", main=True), class_="bar"),
        _keys(),
    )


def _keys() -> Html:
    keys = (
        (("Space",), "play, pause"),
        (("↑", "↓"), "the sound before, the next sound"),
        (("1", "2", "3", "4", "5"), "score what is in hand"),
        (("A", "B", "0"), "prefer A, prefer B, no preference"),
        (("←", "→"), "back, next"),
    )
    rows = [
        element("li", *(joined(element("kbd", key), " ") for key in each), words)
        for each, words in keys
    ]
    return element("div", details("Keys", element("ul", *rows)), class_="keys")


def _trial() -> Html:
    return _screen(
        "trial",
        element("p", "", id="question"),
        element("div", id="stimuli"),
        element(
            "div",
            _button("first", "A sounds better"),
            _button("none", "No preference"),
            _button("second", "B sounds better"),
            id="choices",
            class_="choices",
        ),
    )


def _steps() -> Html:
    return element(
        "div",
        _button("back", "← Back"),
        element("span", "", id="where", class_="faint"),
        _button("next", "Next →", main=True),
        _button("finish", "Finish", far=True),
        id="steps",
        class_="bar",
        hidden=True,
    )


def _end() -> Html:
    return _screen(
        "end",
        element("p", "Answers of ", element("strong", "", id="name"), "."),
        element(
            "div",
            element("p", "", id="unanswered"),
            element("div", id="which", class_="bar missing"),
            id="left",
        ),
        element(
            "div", _button("return", "← Back"), _button("save", "Save", main=True), class_="bar"
        ),
        element("div", _button("again", "Next listener"), id="after", class_="bar"),
    )
