"""Stand-ins for JSUT, JSSS and JVS: their trees, names, counts and defects, without their sound.

Every file of a tree is a hard link to one wav, 0.15 s of a voiced tone (the shortest that can be
used), so that all 7,696 files of JSUT are made in a moment. What is wrong with the corpora is
written down here a second time, from what people tell of them, so that the package's own table
can be held against it.

    >>> root = write_jvs(tmp_path / "jvs_ver1")
    >>> speak_into(root / "jvs001/parallel100/wav24kHz16bit/VOICEACTRESS100_001.wav", spoken)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf

JSUT_COUNTS = {
    "basic5000": 5000,
    "countersuffix26": 26,
    "loanword128": 128,
    "onomatopee300": 300,
    "precedent130": 130,
    "repeat500": 500,
    "travel1000": 1000,
    "utparaphrase512": 512,
    "voiceactress100": 100,
}
JSSS_SHORT = {"basic5000": 3000, "onomatopee300": 185, "voiceactress100": 100}
JSSS_NOT_READ = ("VOICEACTRESS100_077",)
JSSS_LONG = {"katsura-masakazu": 3, "udon": 3, "washington-dc": 3}  # few, but of the right form
JVS_SPEAKERS = tuple(f"jvs{number:03d}" for number in range(1, 101))
JVS_MISSING = (("jvs030", 45), ("jvs074", 94), ("jvs089", 19))
JVS_EMPTY = ("jvs009", 95)
JVS_FAULTY = (
    *(("jvs009", 86), ("jvs017", 82), ("jvs018", 72), ("jvs022", 47), ("jvs024", 88)),
    *(("jvs036", 57), ("jvs038", 6), ("jvs038", 41), ("jvs043", 85), ("jvs047", 85)),
    *(("jvs048", 43), ("jvs048", 76), ("jvs051", 25), ("jvs055", 56), ("jvs055", 76)),
    *(("jvs055", 99), ("jvs058", 14), ("jvs059", 61), ("jvs059", 64), ("jvs059", 66)),
    *(("jvs059", 74), ("jvs060", 82), ("jvs074", 62), ("jvs098", 60), ("jvs098", 99)),
)
# The ids of two transcripts, and the names their files have in their place.
JVS_FALSET_NAMES = {
    "jvs001": {
        "BASIC5000_1818": "BASIC5000_0235",
        "BASIC5000_1866": "BASIC5000_0408",
        "BASIC5000_0025": "BASIC5000_1140",
        "BASIC5000_1485": "BASIC5000_1356",
        "TRAVEL1000_0429": "BASIC5000_1635",
    },
    "jvs088": {
        **{f"VOICEACTRESS100_{number:03d}": f"{number:03d}" for number in range(1, 6)},
        "BASIC5000_0837": "006",
        "BASIC5000_0284": "007",
        "BASIC5000_1590": "008",
        "BASIC5000_0176": "009",
        "BASIC5000_1048": "010",
    },
}
JVS_WITHOUT_WAV = 2  # utterances of nonpara30 that only the transcript knows, of each speaker
WAVS = "wav24kHz16bit"


def jsut_ids(subset: str) -> list[str]:
    """All ids of a subset of JSUT."""
    if subset == "repeat500":
        return [f"REPEAT500_set{k}_{n:03d}" for k in range(1, 6) for n in range(1, 101)]
    if subset == "utparaphrase512":
        return [f"UT-PARAPHRASE-sent{n:03d}-phrase{k}" for n in range(1, 257) for k in (1, 2)]
    digits = {5000: 4, 1000: 4, 26: 2}.get(JSUT_COUNTS[subset], 3)
    return [f"{subset.upper()}_{n:0{digits}d}" for n in range(1, JSUT_COUNTS[subset] + 1)]


def text_of(name: str) -> str:
    """What a transcript gives for an id; a colon is part of some sentences."""
    return f"これは:{name}の文です。"


def write_jsut(root: Path, *, ver1: bool = False) -> Path:
    """JSUT v1.1 (7,696 wavs); with `ver1` its older transcripts, which misname some ids."""
    tone = _Tone(root, 48000)
    for subset in JSUT_COUNTS:
        ids = jsut_ids(subset)
        tone.links(root / subset / "wav", ids)
        named = [_misnamed(name) if ver1 else name for name in ids]
        _write_lines(root / subset / "transcript_utf8.txt", dict(zip(named, ids, strict=True)))
        for name in ("recording_info.txt", "memo.txt"):
            (root / subset / name).write_text("no recording\n", encoding="utf-8")
    return root


def _misnamed(name: str) -> str:
    if name == "VOICEACTRESS100_073":
        return "VOICEACTRESS073"
    return name.replace("BASIC5000_", "BASIC4992_")


def jsss_short_ids(subset: str) -> list[str]:
    """The ids of a short-form subset of JSSS."""
    return [n for n in jsut_ids(subset)[: JSSS_SHORT[subset]] if n not in JSSS_NOT_READ]


def write_jsss(root: Path) -> Path:
    """JSSS v1: 3,284 short-form wavs, and a few of each longer form."""
    tone = _Tone(root, 24000)
    for subset in JSSS_SHORT:
        folder, ids = root / "short-form" / subset, jsss_short_ids(subset)
        tone.links(folder / WAVS, ids)
        _write_lines(folder / "transcript_utf8.txt", {name: name for name in ids})
    simple = [f"SIMPLIFICATION_{n:03d}" for n in range(1, 4)]
    tone.links(root / "simplification" / WAVS, simple)
    _write_lines(root / "simplification" / "transcript_utf8.txt", {n: n for n in simple})
    longer = {f"long-form/{name}": count for name, count in JSSS_LONG.items()}
    for subset, count in {**longer, "summarization": 3}.items():
        ids = [f"{subset.split('/')[-1].upper()}_{n:02d}" for n in range(1, count + 1)]
        tone.links(root / subset / WAVS, ids)
        for name in ids:
            rows = "0.00\t1.50\t一つ目の文。\n1.50\t2.75\t二つ目の文。\n"
            _write(root / subset / "transcript_utf8" / f"{name}.txt", rows)
    return root


def specific_ids(speaker: str, subset: str) -> list[str]:
    """The ids that a JVS speaker alone reads; of nonpara30 thirty, of a style five."""
    number = int(speaker[3:])
    if subset == "nonpara30":
        return [
            *(f"BASIC5000_{10 * number + k:04d}" for k in range(10)),
            *(f"TRAVEL1000_{(9 * number + k) % 1000 + 1:04d}" for k in range(10)),
            *(f"LOANWORD128_{(number + 12 * k) % 128 + 1:03d}" for k in range(10)),
        ]
    if subset == "falset10" and speaker in JVS_FALSET_NAMES:
        return [n for n in JVS_FALSET_NAMES[speaker] if not n.startswith("VOICEACTRESS")]
    return [f"BASIC5000_{2000 + 20 * number + k:04d}" for k in range(5)]


def f0_range_of(speaker: str) -> tuple[int, int]:
    """What gender_f0range.txt says of a speaker, in Hz."""
    number = int(speaker[3:])
    return (60 + number, 260 + number) if number % 2 else (100 + number // 2, 400 + number)


def write_jvs(root: Path, speakers: Iterable[str] = JVS_SPEAKERS) -> Path:
    """JVS v1 with every known defect: 14,997 wavs of a hundred speakers."""
    tone = _Tone(root, 24000)
    speakers = list(speakers)
    actress = [f"VOICEACTRESS100_{n:03d}" for n in range(1, 101)]
    missing = {(speaker, actress[number - 1]) for speaker, number in JVS_MISSING}
    for speaker in speakers:
        for subset in ("parallel100", "nonpara30", "whisper10", "falset10"):
            ids = {
                "parallel100": actress,
                "nonpara30": specific_ids(speaker, "nonpara30"),
            }.get(subset, [*actress[:5], *specific_ids(speaker, subset)])
            folder = root / speaker / subset
            extra = [f"BASIC5000_{4900 + k:04d}" for k in range(JVS_WITHOUT_WAV)]
            told = [*ids, *(extra if subset == "nonpara30" else ())]
            _write_lines(folder / "transcripts_utf8.txt", {name: name for name in told})
            renamed = JVS_FALSET_NAMES.get(speaker, {}) if subset == "falset10" else {}
            there = [n for n in ids if subset != "parallel100" or (speaker, n) not in missing]
            tone.links(folder / WAVS, [renamed.get(name, name) for name in there])
    if JVS_EMPTY[0] in speakers:
        _empty(root / JVS_EMPTY[0] / "parallel100" / WAVS / f"{actress[JVS_EMPTY[1] - 1]}.wav")
    rows = [f"{s} {'FM'[int(s[3:]) % 2]} {f0_range_of(s)[0]} {f0_range_of(s)[1]}" for s in speakers]
    header = "speaker Male_or_Female minf0[Hz] maxf0[Hz]"
    _write(root / "gender_f0range.txt", "\n".join([header, *rows, ""]))
    return root


def speak_into(path: Path, samples: np.ndarray, rate: int) -> None:
    """Put a recording of its own in the place of a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    sf.write(path, samples, rate, subtype="PCM_16")


def write_transcript(folder: Path, ids: Sequence[str], name: str = "transcripts_utf8.txt") -> None:
    """Write a transcript of these ids."""
    _write_lines(folder / name, {each: each for each in ids})


class _Tone:
    """One wav that every name of a tree is a link to."""

    def __init__(self, root: Path, rate: int) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._path = root / "tone"  # no ending: no scan takes it for a recording
        turns = 2 * np.pi * 200 * np.arange(round(0.15 * rate)) / rate  # 200 Hz
        tone = 0.1 * sum(np.sin(k * turns) / k for k in range(1, 8))
        sf.write(self._path, tone, rate, format="WAV", subtype="PCM_16")

    def links(self, folder: Path, names: Iterable[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.link(self._path, folder / f"{name}.wav")


def _empty(path: Path) -> None:
    path.unlink()
    sf.write(path, np.zeros(0), 24000, subtype="PCM_16")


def _write_lines(path: Path, ids: Mapping[str, str]) -> None:
    """A transcript: the id written there -> the id whose text stands behind it."""
    _write(path, "".join(f"{told}:{text_of(name)}\n" for told, name in ids.items()))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
