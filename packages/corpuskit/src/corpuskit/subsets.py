"""What the known layouts hold: names of subsets and of the voices that are in them.

A voice is one way of speaking of one person, and what pairs call a speaker: JVS' whispered and
falsetto recordings and JSUT's five readings of the same sentences are voices of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corpuskit.errors import BadSetting, nearest

__all__ = ["JVS_STYLES", "SUBSETS", "chosen", "is_of", "voices"]

SUBSETS: Mapping[str, tuple[str, ...]] = {
    "folder": (),
    "jsut": (
        "basic5000",
        "countersuffix26",
        "loanword128",
        "onomatopee300",
        "precedent130",
        "repeat500",
        "travel1000",
        "utparaphrase512",
        "voiceactress100",
    ),
    "jsss": (
        "short-form/basic5000",
        "short-form/onomatopee300",
        "short-form/voiceactress100",
        "long-form/katsura-masakazu",
        "long-form/udon",
        "long-form/washington-dc",
        "simplification",
        "summarization",
    ),
    "jvs": ("parallel100", "nonpara30", "whisper10", "falset10"),
}
JVS_STYLES = {"parallel100": "", "nonpara30": "", "whisper10": "_whisper", "falset10": "_falset"}
REPEAT_SETS = range(1, 6)


def chosen(layout: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the subsets that are meant: all when none is named, "short-form" for its parts.

    Raises
    ------
    BadSetting
        The layout has no such subset; the nearest is named.

    """
    known = SUBSETS[layout]
    if not wanted:
        return known
    meant: dict[str, None] = {}
    for name in wanted:
        parts = [each for each in known if each == name or each.startswith(f"{name}/")]
        if not parts:
            raise BadSetting(f"corpora.*.subsets names {name!r}, {_remedy(layout, name)}")
        meant.update(dict.fromkeys(parts))
    return tuple(meant)


def _remedy(layout: str, name: str) -> str:
    known = SUBSETS[layout]
    if not known:
        return f"but layout {layout!r} has no subsets; leave it out"
    close = nearest(name, [*known, *(each.split("/")[0] for each in known)])
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"which layout {layout!r} has not; {meant}it has {', '.join(known)}"


def voices(layout: str, subsets: Sequence[str]) -> tuple[str, ...]:
    """Return the speakers of a layout that say something in some of its subsets."""
    if layout == "jvs":
        styles = dict.fromkeys(JVS_STYLES[subset] for subset in subsets)
        return tuple(f"jvs{n:03d}{style}" for n in range(1, 101) for style in styles)
    if layout == "jsut":
        sets = [f"jsut_set{n}" for n in REPEAT_SETS] if "repeat500" in subsets else []
        return (*(["jsut"] if set(subsets) - {"repeat500"} else []), *sets)
    return (layout,)


def is_of(speaker: str, name: str) -> bool:
    """Whether `name` means this speaker: by its own name, or by the person's for all its voices."""
    return speaker == name or speaker.startswith(f"{name}_")
