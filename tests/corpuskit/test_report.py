"""Pages: what is in them comes out again, names do no harm, and every theme can be read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.report import palette
from corpuskit.report.choice import chooser, when
from corpuskit.report.histogram import counted, histogram
from corpuskit.report.markup import Html, element, escape, joined
from corpuskit.report.page import Page, Section, render, write_page
from corpuskit.report.parts import columns, details, facts, heading, notice, paragraph, table
from corpuskit.report.sound import excerpt, gain_for, player, players, sound_uri
from corpuskit.report.svg import HEIGHT, WIDTH, Axes, bars, legend, line, plot, rule, spans, ticks
from corpuskit.report.svg import waveform as waveform_of
from pages import check_page, chromium, console_of, decoded, in_browser, read, sounds

RATE = 8000
EVIL = "<script>alert(1)</script>\"'&\x00\ud800 é 声"


def noise(length: int = RATE, seed: int = 0) -> np.ndarray:
    """16-bit noise, full scale 1.0."""
    return np.random.default_rng(seed).integers(-9000, 9000, length) / 32768


def full_page(name: str = "N2C/声_01") -> Page:
    """A page with one of everything, in which `name` is everywhere a name can be."""
    samples = noise()
    axes = Axes(x=(0.0, 1.0), y=(-1.0, 1.0))
    shaded = [
        when("thresh", value, "-60", spans(axes, [(0.1, 0.2)], colour="cut"), name="g")
        for value in ("-60", "-40")
    ]
    utterance = joined(
        chooser("thresh", name, [("-60", "-60 dBFS"), ("-40", name)], "-60"),
        heading(name),
        plot(axes, waveform_of(axes, samples, RATE), *shaded, label=name, sound="one", unit=name),
        players(
            player("one", samples, RATE, label=name),
            excerpt("one", [(0.1, 0.2)], label=name, gain=12),
        ),
    )
    words = joined(
        notice("good", name, name),
        paragraph(name),
        facts({name: name}),
        details(name, name),
        table([name, "n"], [[name, "1"], [name, "-2"]], caption=name, marked=[0]),
        columns(
            histogram({name: [1.0, 2.0]}, label=name, unit=name),
            counted({name: {1: 2}}, label=name, unit=name),
        ),
        legend([("cut", name)], shaded=True),
    )
    sections = [Section(title=name, body=words), Section(title=name, body=utterance)]
    return Page(title=name, lead=name, sections=sections, footer=name)


# -------------------------------------------------------------------------- markup


@given(st.text())
def test_text_comes_back_as_it_was_and_makes_no_markup(text: str) -> None:
    page = read(element("p", text, title=text))

    (paragraph,) = page.all()
    assert paragraph.text == paragraph.attributes["title"] == re.sub(IMPOSSIBLE, "\ufffd", text)


IMPOSSIBLE = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"


def test_markup_is_not_escaped_twice() -> None:
    inner = element("b", "a & b")

    assert element("p", inner, " < ") == "<p><b>a &amp; b</b> &lt; </p>"
    assert escape(inner) is inner
    assert isinstance(joined(inner, "x"), Html)


def test_attributes_are_spelt_for_html() -> None:
    made = element(
        "input", type="radio", for_="x", data_of="y", checked=True, hidden=False, id=None
    )

    assert made == '<input type="radio" for="x" data-of="y" checked>'


# ---------------------------------------------------------------------------- page


def test_a_page_is_well_formed_and_self_contained() -> None:
    check_page(render(full_page()))


def test_a_hostile_name_stays_text_wherever_it_stands() -> None:
    page = check_page(render(full_page(EVIL)))

    assert len(page.all("script")) == 1
    assert "alert" not in page.all("script")[0].text
    shown = "<script>alert(1)</script>\"'&\ufffd\ufffd é 声"
    assert page.all("h1")[0].text == page.all("title")[0].text == shown
    assert page.all("audio")[0].attributes["aria-label"] == shown


def test_only_the_pages_own_script_may_run() -> None:
    import base64
    import hashlib

    page = read(render(full_page()))

    policy = page.all("meta", http_equiv="Content-Security-Policy")[0].attributes["content"]
    script = page.all("script")[0].text
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy


def test_a_script_and_a_style_of_its_own_stand_after_those_of_every_page() -> None:
    import base64
    import hashlib

    page = check_page(
        render(Page(title="t", lead="l", sections=[], style=".x { color: red; }", script="let x;"))
    )

    policy = page.all("meta", http_equiv="Content-Security-Policy")[0].attributes["content"]
    scripts = [node.text for node in page.all("script")]
    assert scripts[1:] == ["let x;"]
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert page.all("style")[0].text.endswith("\n.x { color: red; }")


def test_the_same_page_is_the_same_bytes(tmp_path: Path) -> None:
    write_page(tmp_path / "a.html", full_page())
    write_page(tmp_path / "b.html", full_page())

    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_equal_and_unspellable_titles_get_anchors_of_their_own() -> None:
    titles = ["Pairs", "Pairs", "対", "Content", "a  b!"]
    sections = [Section(title=title, body=Html("")) for title in titles]

    page = check_page(render(Page(title="t", lead="", sections=sections)))

    anchors = [link.attributes["href"] for link in page.all("nav")[0].all("a")]
    assert anchors == ["#pairs", "#pairs-2", "#section-3", "#content-4", "#a-b"]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_from_what_they_stand_on(theme: int) -> None:
    colours = {name: pair[theme] for name, pair in palette.COLOURS.items()}
    grounds = [colours["paper"], colours["panel"]]
    words = ("ink", "faint", "accent", "good", "warning", "bad")
    marks = set(colours) - {"paper", "panel", "line", "on-accent", *words}

    for ground in grounds:
        assert {name: contrast(colours[name], ground) >= 4.5 for name in words} == dict.fromkeys(
            words, True
        )
        assert {name for name in marks if contrast(colours[name], ground) < 3} == set()
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_style_uses_no_colour_but_the_palettes() -> None:
    html = render(full_page())

    named = set(re.findall(r"var\(--([a-z-]+)\)", html)) - {"mark"}
    assert named <= set(palette.COLOURS)


# --------------------------------------------------------------------------- tables


def test_columns_of_numbers_are_flush_right_and_rows_are_named() -> None:
    page = read(table(["who", "n"], [["a", "1.5 s"], ["b", "-2"]], marked=[1]))

    rows = page.all("tr")
    assert [cell.attributes.get("class") for cell in rows[1].all("td")] == ["number"]
    assert [row.all("th")[0].text for row in rows[1:]] == ["a", "b"]
    assert [row.attributes.get("class") for row in rows[1:]] == [None, "marked"]


# --------------------------------------------------------------------------- choices


def test_one_alternative_shows_without_scripts() -> None:
    parts = joined(*(when("g", value, "b", value) for value in "abc"))

    shown = [node.text for node in read(parts).all("div") if "off" not in str(node.attributes)]
    assert shown == ["b"]


def test_the_chooser_is_a_group_of_radio_buttons_with_labels() -> None:
    page = read(chooser("g", "Which", [("a", "A"), ("b", "B")], "b"))

    buttons = page.all("input")
    assert [button.attributes["value"] for button in buttons if "checked" in button.attributes] == [
        "b"
    ]
    assert [node.attributes["for"] for node in page.all("label")] == [
        button.attributes["id"] for button in buttons
    ]


# ---------------------------------------------------------------------------- sounds


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_a_player_holds_the_exact_samples(rate: int) -> None:
    steps = np.array([0, 1, -1, 32767, -32768, *range(-300, 300)], dtype=np.int16)

    samples, its_rate = decoded(sound_uri(steps / 32768, rate))

    assert its_rate == rate
    assert np.array_equal(samples, steps)


def test_what_exceeds_16_bits_is_clipped_not_wrapped() -> None:
    samples, _ = decoded(sound_uri(np.array([1.5, -1.5]), RATE))

    assert samples.tolist() == [32767, -32768]


def test_an_excerpt_tells_its_length_and_names_its_player() -> None:
    button = read(excerpt("one", [(0.0, 0.25), (0.5, 1.0)], label="kept", gain=12)).all("button")[0]

    assert button.text == "▶ kept 0.75 s, 12 dB louder"
    assert json.loads(button.attributes["data-spans"]) == [[0.0, 0.25], [0.5, 1.0]]
    assert button.attributes["data-of"] == "one"


def test_an_excerpt_of_nothing_cannot_be_pressed() -> None:
    assert "disabled" in read(excerpt("one", [], label="cut")).all("button")[0].attributes


def test_the_gain_brings_the_loudest_sample_up_to_6_db_below_full_scale() -> None:
    samples = np.zeros(RATE)
    samples[100], samples[5000] = 10 ** (-30 / 20), 0.9

    assert gain_for(samples, RATE, [(0.0, 0.5)]) == 24
    assert gain_for(samples, RATE, [(0.0, 1.0)]) == 0
    assert gain_for(samples, RATE, [(0.1, 0.2)]) == 0
    assert gain_for(samples * 1e-4, RATE, [(0.0, 0.5)]) == 40


# ----------------------------------------------------------------------------- plots

UNIT = Axes(x=(0.0, 10.0), y=(0.0, 1.0))


def points(shape: str) -> list[tuple[float, float]]:
    """The corners of a path of M and L."""
    path = read(shape).all("path")[0].attributes["d"]
    return [(float(a), float(b)) for a, b in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def test_axes_map_their_corners_to_the_drawings() -> None:
    assert UNIT.across([0, 5, 10, 99, -1]).tolist() == [0, WIDTH / 2, WIDTH, WIDTH, 0]
    assert UNIT.down([0, 0.5, 1]).tolist() == [HEIGHT, HEIGHT / 2, 0]


def test_the_envelope_holds_the_lowest_and_highest_of_each_column() -> None:
    samples = np.zeros(4000)
    samples[2002], samples[3001] = 0.8, -0.6
    axes = Axes(x=(0.0, 4000 / RATE), y=(-1.0, 1.0))

    corners = points(waveform_of(axes, samples, RATE))

    assert len(corners) == 2 * WIDTH
    assert min(corners, key=lambda p: p[1]) == (500.5, 20.0)
    assert max(corners, key=lambda p: p[1]) == (750.5, 160.0)


def test_a_recording_of_nothing_draws_nothing() -> None:
    assert waveform_of(UNIT, np.zeros(0), RATE) == ""


def test_a_curve_is_broken_where_it_is_unknown() -> None:
    x = np.arange(6.0)
    y = np.array([0.5, 0.5, np.nan, 0.25, 0.25, np.nan])

    path = read(line(UNIT, x, y, colour="pitch")).all("path")[0].attributes["d"]

    assert path == "M0 100L100 100M300 150L400 150"


def test_a_long_curve_keeps_its_peaks() -> None:
    y = np.zeros(100_000)
    y[43_210], y[77_777] = 1.0, 0.7

    corners = points(line(Axes(x=(0.0, 1e5), y=(0.0, 1.0)), np.arange(1e5), y, colour="level"))

    assert len(corners) <= 4 * WIDTH + 4
    assert (432.1, 0.0) in corners
    assert (777.8, 60.0) in corners


def test_spans_bars_and_rules_stand_at_their_values() -> None:
    assert 'd="M100 200V0H300V200Z"' in spans(UNIT, [(1.0, 3.0)], colour="cut")
    assert 'd="M100 10V0H300V10Z"' in spans(
        UNIT, [(1.0, 3.0)], colour="cut", band=(0.95, 1.0), solid=True
    )
    assert spans(UNIT, [], colour="cut") == ""
    assert 'd="M0 200V100H500V200Z"' in bars(
        UNIT, [(0, 5), (5, 10)], np.array([0.5, 0.0]), colour="first"
    )
    assert 'd="M0 50H1000"' in rule(UNIT, y=0.75, colour="cut")
    assert 'd="M250 0V200"' in rule(UNIT, x=2.5, colour="cut")


@given(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(1e-3, 1e6, allow_nan=False),
    st.integers(2, 12),
)
def test_ticks_are_inside_distinct_and_few(low: float, width: float, most: int) -> None:
    high = low + width

    found = ticks(low, high, most)

    values = [value for value, _ in found]
    assert len(values) <= most + 1
    assert values == sorted(set(values))
    slack = 1e-6 * max(width, 1e-3)
    assert all(low - slack <= value <= high + slack for value in values)


def test_ticks_of_a_point_are_that_point() -> None:
    assert ticks(3.0, 3.0) == [(3.0, "3")]


def heights(shape: str) -> list[list[float]]:
    """The height of each bar as a share of the tallest, one list a group."""
    found = []
    for path in read(shape).all("path", class_="area"):
        tops = re.findall(r"V(-?[\d.]+)H", path.attributes["d"])
        found.append([200 - float(top) for top in tops])
    tallest = max(height for group in found for height in group)
    return [[round(height / tallest, 2) for height in group] for group in found]


def test_a_histogram_compares_shares_not_counts() -> None:
    before, after = [0.0, 0.0, 1.0, 1.0], [0.0, 1.0]

    drawn = histogram({"before": before, "after": after}, label="h", unit="s", bins=2)

    assert heights(drawn) == [[1.0, 1.0], [1.0, 1.0]]
    assert [node.text for node in read(drawn).all("li")] == ["before (4)", "after (2)"]


def test_a_histogram_counts_outliers_at_its_edge() -> None:
    drawn = histogram({"a": [-99.0, 0.5, 99.0, 99.0]}, label="h", unit="s", bins=2, limits=(0, 1))

    assert heights(drawn) == [[0.33, 1.0]]


def test_a_histogram_of_nothing_or_of_one_value_can_be_drawn() -> None:
    assert "area" in histogram({"a": []}, label="h", unit="s")
    assert heights(histogram({"a": [2.0]}, label="h", unit="s", bins=4)) == [[1.0]]


def test_whole_numbers_are_counted_one_by_one() -> None:
    drawn = counted({"N": {1: 3, 2: 1}, "C": {3: 2}}, label="p", unit="phrases")

    assert heights(drawn) == [[0.75, 0.25], [1.0]]
    assert [node.text for node in read(drawn).all("div", class_="xs")[0].all("span")] == [
        "1",
        "2",
        "3",
    ]


# --------------------------------------------------------------------------- browser


def test_the_players_of_a_page_can_be_read_back() -> None:
    page = check_page(render(full_page()))

    samples, rate = sounds(page)["one"]
    assert rate == RATE
    assert np.array_equal(samples, np.round(noise() * 32768))


@pytest.mark.slow
@pytest.mark.parametrize("query", ["?theme=light", "?theme=dark&thresh=-40"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_has_nothing_to_complain_about(tmp_path: Path, width: int, query: str) -> None:
    if chromium() is None:
        pytest.skip("Chromium is not here")
    write_page(tmp_path / "page.html", full_page())

    assert console_of(tmp_path / "page.html", tmp_path / "p", width=width, query=query) == []


@pytest.mark.slow
def test_the_address_chooses_theme_and_alternative(tmp_path: Path) -> None:
    if chromium() is None:
        pytest.skip("Chromium is not here")
    write_page(tmp_path / "page.html", full_page())

    page, _ = in_browser(tmp_path / "page.html", tmp_path / "p", query="?theme=dark&thresh=-40")

    assert page.all("html")[0].attributes["data-theme"] == "dark"
    assert page.all("button", id="theme")[0].attributes["aria-pressed"] == "true"
    assert {
        part.attributes["data-value"]: "off" in part.attributes.get("class", "")
        for part in page.all("g", data_group="thresh")
    } == {"-60": True, "-40": False}
