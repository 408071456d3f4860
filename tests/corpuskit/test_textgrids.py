"""TextGrids in every text form, against the textgrid library and against files written out here."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
from pathlib import Path

import pytest
import textgrid
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.errors import BadLabels
from corpuskit.textgrids import Interval, TextGrid, Tier, parse, read_textgrid, written

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "speech"
        xmin = 0
        xmax = 1.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.3
            text = "he said ""no"" 静か"
        intervals [2]:
            xmin = 0.3
            xmax = 1.5
            text = "two
lines"
    item [2]:
        class = "TextTier"
        name = "notes 1"
        xmin = 0
        xmax = 1.5
        points: size = 1
        points [1]:
            number = 0.7
            mark = "click"
"""
SHORT = """File type = "ooTextFile"
"TextGrid"

0
1.5
<exists>
2
"IntervalTier"
"speech"
0
1.5
2
0
0.3
"he said ""no"" 静か"
0.3
1.5
"two
lines"
"TextTier"
"notes 1"
0
1.5
1
0.7
"click"
"""
EXPECTED = [
    ("speech", False, [(0.0, 0.3, 'he said "no" 静か'), (0.3, 1.5, "two\nlines")]),
    ("notes 1", True, [(0.7, 0.7, "click")]),
]


def content(grid: TextGrid) -> list[tuple[str, bool, list[tuple[float, float, str]]]]:
    return [
        (tier.name, tier.points, [(each.begin, each.end, each.text) for each in tier.intervals])
        for tier in grid.tiers
    ]


@pytest.mark.parametrize("form", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_text_form_reads_alike(tmp_path: Path, form: str, bom: bytes, line_end: str) -> None:
    encoding = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(
        bom, "utf-8"
    )
    path = tmp_path / "a.TextGrid"
    path.write_bytes(bom + form.replace("\n", line_end).encode(encoding))
    read = content(read_textgrid(path))
    assert [(name, points) for name, points, _ in read] == [("speech", False), ("notes 1", True)]
    expected = [[(a, b, t.replace("\n", line_end)) for a, b, t in rows] for _, _, rows in EXPECTED]
    assert [rows for _, _, rows in read] == expected


def test_lines_are_those_of_the_file() -> None:
    assert [each.line for each in parse(LONG, "a").tiers[0].intervals] == [16, 20]


def test_comments_and_loose_words_are_no_values() -> None:
    noisy = SHORT.replace("<exists>", "tiers? <exists> ! 7 of them").replace("2\n0\n", "n = 2\n0\n")
    assert content(parse(noisy, "a")) == EXPECTED


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("xmax = 0.3", "xmax = x", 'line 18: "he said.* stands where a number should'),
        ("xmin = 0.3", "xmin = 0.2", "line 20: .* begins at 0.2 s, before .* ends at 0.3 s"),
        (
            "xmin = 0\n            xmax = 0.3",
            "xmin = 0.4\n            xmax = 0.3",
            "line 16: .*ends",
        ),
        ("<exists>", "<absent>", "line 6: the TextGrid has no tiers"),
        ("size = 2\nitem", "size = 2.5\nitem", "line 7: 2.5 is no count"),
        ("size = 2\nitem", "size = 3\nitem", "ends where a quoted text should follow"),
        ("xmax = 1.5\ntiers", "xmax = 1e999\ntiers", "line 5: a number is too large"),
        ('"IntervalTier"', '"OtherTier"', "line 11: a tier is of the unknown kind 'OtherTier'"),
        ('"TextGrid"', '"Sound"', "is not a Praat TextGrid"),
        ('text = "two\nlines"', 'text = "two\nlines', "line 22"),
        (LONG, "", "a.TextGrid ends where a quoted text should follow"),
        (LONG, "no grid at all", "ends where a quoted text"),
    ],
)
def test_what_is_no_textgrid_is_refused_by_file_and_line(
    before: str, after: str, told: str
) -> None:
    assert before in LONG
    with pytest.raises(BadLabels, match=told) as caught:
        parse(LONG.replace(before, after, 1), "a.TextGrid")
    assert "a.TextGrid" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xff\xff", "not UTF-8 or UTF-16"),
        (b"ooBinaryFile\0\0", "not UTF-8 or UTF-16"),
        ("静か".encode("cp932"), "not UTF-8 or UTF-16"),
        (codecs.BOM_UTF16_LE + b"a", "not UTF-8 or UTF-16"),
    ],
)
def test_other_encodings_are_refused(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(data)
    with pytest.raises(BadLabels, match=told):
        read_textgrid(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadLabels, match=r"b.TextGrid cannot be read \(No such file"):
        read_textgrid(tmp_path / "b.TextGrid")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadLabels):
        parse('"ooTextFile" "TextGrid" ' + text, "a")


@given(
    st.lists(st.integers(1, 10**7), min_size=2, max_size=20, unique=True).map(sorted),
    st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 192000]),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\x00\ufeff"), max_size=8),
)
def test_what_is_written_reads_back_as_the_same_numbers(
    edges: list[int], rate: int, text: str
) -> None:
    times = [0.0, *(edge / rate for edge in edges)]
    intervals = tuple(Interval(begin=a, end=b, text=text) for a, b in itertools.pairwise(times))
    grid = TextGrid(begin=0.0, end=times[-1], tiers=(Tier(name="speech", intervals=intervals),))
    back = parse(written(grid).decode(), "a")
    assert content(back) == content(grid)
    assert [round(each.end * rate) for each in back.tiers[0].intervals] == edges


def test_the_library_reads_what_is_written(tmp_path: Path) -> None:
    tier = Tier(
        name="speech",
        intervals=(
            Interval(begin=0.0, end=1 / 3, text='a "b"'),
            Interval(begin=1 / 3, end=1 / 3, text="of no length"),
            Interval(begin=1 / 3, end=2.0, text="静か"),
        ),
    )
    path = tmp_path / "a.TextGrid"
    path.write_bytes(written(TextGrid(begin=0.0, end=2.0, tiers=(tier,))))
    read = textgrid.TextGrid()
    read.read(str(path), round_digits=17)
    told = [(each.minTime, each.maxTime, each.mark) for each in read.getFirst("speech")]
    assert told == [(0.0, 1 / 3, 'a "b"'), (1 / 3, 2.0, "静か")]


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    made = textgrid.TextGrid(minTime=0, maxTime=2)
    row = textgrid.IntervalTier("speech", 0, 2)
    row.add(0.5, 0.75, "silence")
    made.append(row)
    points = textgrid.PointTier("notes", 0, 2)
    points.add(1.0, "here")
    made.append(points)
    sink = io.StringIO()
    sink.close = lambda: None  # type: ignore[method-assign]
    made.write(sink)
    assert content(parse(sink.getvalue(), "a")) == [
        ("speech", False, [(0.0, 0.5, ""), (0.5, 0.75, "silence"), (0.75, 2.0, "")]),
        ("notes", True, [(1.0, 1.0, "here")]),
    ]
