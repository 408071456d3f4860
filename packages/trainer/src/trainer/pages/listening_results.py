"""What listening tests said of runs, as part of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corpuskit.report.markup import Html, joined
from corpuskit.report.parts import heading, table
from trainer.listening.design import QUESTIONS
from trainer.wording.listening import (
    COUNTS,
    MEANS,
    PREFERENCE_HEADER,
    counts_cell,
    in_order,
    mean_cell,
    preference_cells,
    result_name,
)

__all__ = ["listening_results"]


def listening_results(name: str, listening: Mapping[str, Mapping[str, Any]]) -> Html:
    """Show every test that run `name` was heard in, the newest first."""
    return joined(*(_test(name, result) for result in reversed(in_order(listening))))


def _test(name: str, result: Mapping[str, Any]) -> Html:
    parts = [heading(f"Run {name}: {result_name(result)}")]
    if result["means"]:
        parts.append(_means(result["means"]))
    if result["preferences"]:
        parts.append(_preferences(result["preferences"]))
    if result.get("by_sentence"):  # tests that were scored before they were kept have none
        parts.append(_by_sentence(result))
    return joined(*parts)


def _means(means: Mapping[str, Mapping[str, Any]]) -> Html:
    rows = [
        [
            words,
            *(mean_cell(means[name][question]) for question in QUESTIONS),
            str(means[name]["naturalness"]["answers"]),
        ]
        for name, words in MEANS.items()
    ]
    caption = "Scores from 1 to 5; ± is half the 95 % confidence interval over listeners"
    return table(["", *QUESTIONS, "answers"], rows, caption=caption)


def _name(subject: Mapping[str, Any]) -> str:
    return f"{subject['run']} {subject['checkpoint']} ({subject['vocoder']})"


def _preferences(found: Sequence[Mapping[str, Any]]) -> Html:
    rows = [[_name(each), *preference_cells(each)] for each in found]
    caption = "Preferred to another run: the share of what was decided, Wilson's 95 % interval"
    return table(["to run", *PREFERENCE_HEADER], rows, caption=caption)


def _by_sentence(result: Mapping[str, Any]) -> Html:
    """Show how each sentence was heard: a run may be liked on all but one."""
    others = [_name(each) for each in result["preferences"]]
    rows = []
    for sentence, found in result["by_sentence"].items():
        means = [mean_cell(found["means"]["run"][name]) for name in QUESTIONS if found["means"]]
        told = {_name(each): counts_cell(each) for each in found["preferences"]}
        rows.append([sentence, *means, *(told.get(name, "-") for name in others)])
    header = [*(QUESTIONS if result["means"] else ()), *(f"{COUNTS} to {name}" for name in others)]
    caption = "By sentence; ± and brackets are 95 % intervals, as above"
    return table(["sentence", *header], rows, caption=caption)
