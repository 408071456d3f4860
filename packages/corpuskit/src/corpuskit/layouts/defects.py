"""What is known to be wrong in the public corpora: a table, each entry with its reason.

Found by people who used the corpora and told: the corpora's own read-me files, and public recipes
that prepare JVS (their lists of removed and renamed files agree with each other). Where the truth
cannot be known from outside, the reason says what was chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from corpuskit.layouts.found import Clip

__all__ = ["DEFECTS", "TRANSCRIPT_NAMES", "Defect", "defects_of"]

Kind = Literal["missing", "no samples", "faulty", "other sentence", "superseded"]


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One thing that is wrong with one file.

    "missing": there is no such file. "no samples": it holds none. "faulty": misread or noisy,
    left out unless asked for. "other sentence": it (or the clip) is really `sentence`.
    "superseded": what it claims to be is another file.
    """

    speaker: str  # the folder
    subset: str
    file: str  # stem
    kind: Kind
    reason: str
    sentence: str = ""  # what it really holds; empty: what its name says
    clip: Clip | None = None  # ms


# Transcripts of JSUT ver1 (beginning of the id, what is meant); ver1.1 has them right.
TRANSCRIPT_NAMES: tuple[tuple[str, str], ...] = (
    ("BASIC4992_", "BASIC5000_"),
    ("VOICEACTRESS073", "VOICEACTRESS100_073"),
)

_P = "parallel100"
_MISREAD = "is a faulty reading or noisy (known defect; `faulty = true` includes it)"


def _sentence(number: int) -> str:
    return f"VOICEACTRESS100_{number:03d}"


_MISSING = {"jvs030": 45, "jvs074": 94, "jvs089": 19}
_FAULTY: Mapping[str, tuple[int, ...]] = {
    "jvs009": (86,),
    "jvs017": (82,),
    "jvs018": (72,),
    "jvs022": (47,),
    "jvs024": (88,),
    "jvs036": (57,),
    "jvs038": (6, 41),
    "jvs043": (85,),
    "jvs047": (85,),
    "jvs048": (43, 76),
    "jvs051": (25,),
    "jvs055": (56, 76, 99),
    "jvs059": (61, 64, 66, 74),
    "jvs060": (82,),
    "jvs074": (62,),
    "jvs098": (60, 99),
}
# Falsetto files with numbers or other sentences' names, and the ids of their transcripts: as public
# scripts that prepare the corpus rename them. A copy that was renamed already is left as it is.
_FALSET: Mapping[str, Mapping[str, str]] = {
    "jvs001": {
        "BASIC5000_0235": "BASIC5000_1818",
        "BASIC5000_0408": "BASIC5000_1866",
        "BASIC5000_1140": "BASIC5000_0025",
        "BASIC5000_1356": "BASIC5000_1485",
        "BASIC5000_1635": "TRAVEL1000_0429",
    },
    "jvs088": {
        **{f"{number:03d}": _sentence(number) for number in range(1, 6)},
        "006": "BASIC5000_0837",
        "007": "BASIC5000_0284",
        "008": "BASIC5000_1590",
        "009": "BASIC5000_0176",
        "010": "BASIC5000_1048",
    },
}

DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(
            speaker=speaker,
            subset=_P,
            file=_sentence(number),
            kind="missing",
            reason="is missing from the corpus (known defect)",
        )
        for speaker, number in _MISSING.items()
    ),
    Defect(
        speaker="jvs009",
        subset=_P,
        file=_sentence(95),
        kind="no samples",
        reason="is a wav of zero length (known defect)",
    ),
    *(
        Defect(speaker=speaker, subset=_P, file=_sentence(n), kind="faulty", reason=_MISREAD)
        for speaker, numbers in _FAULTY.items()
        for n in numbers
    ),
    Defect(
        speaker="jvs058",
        subset=_P,
        file=_sentence(14),
        kind="other sentence",
        sentence=_sentence(14),
        clip=(0, 3530),
        reason="two sentences were left in one file: this is its beginning, to 3.53 s",
    ),
    Defect(
        speaker="jvs058",
        subset=_P,
        file=_sentence(14),
        kind="other sentence",
        sentence=_sentence(15),
        clip=(3940, None),
        reason="two sentences were left in one file: this is its end, from 3.94 s",
    ),
    Defect(
        speaker="jvs058",
        subset=_P,
        file=_sentence(14),
        kind="faulty",
        # Those who cut the file use its beginning, those who do not remove the file.
        reason="shares its file with the next sentence, and careful users remove it "
        "(known defect; `faulty = true` includes its part)",
    ),
    *(
        Defect(
            speaker="jvs058",
            subset=_P,
            file=_sentence(number),
            kind="other sentence",
            sentence=_sentence(number + 1),
            reason="names are one behind from 015 on, because 015 was left in the file of 014",
        )
        for number in range(15, 22)
    ),
    Defect(
        speaker="jvs058",
        subset=_P,
        file=_sentence(22),
        kind="superseded",
        # Recipes that shift the names overwrite this file; which of the two is better is unknown.
        reason="has the name of a sentence that is in file 021; that file is used, as others do",
    ),
    *(
        Defect(
            speaker=speaker,
            subset="falset10",
            file=file,
            kind="other sentence",
            sentence=sentence,
            reason="has a wrong file name; this is the sentence of its transcript",
        )
        for speaker, names in _FALSET.items()
        for file, sentence in names.items()
    ),
)


def _by_place() -> Mapping[tuple[str, str], Sequence[Defect]]:
    places: dict[tuple[str, str], list[Defect]] = defaultdict(list)
    for defect in DEFECTS:
        places[defect.speaker, defect.subset].append(defect)
    return places


_PLACES = _by_place()


def defects_of(speaker: str, subset: str) -> Sequence[Defect]:
    """Return what is known to be wrong in one subset of one JVS speaker."""
    return _PLACES.get((speaker, subset), ())
