"""Sounds inside a page: one player a recording, and excerpts that play from it.

A recording is embedded once, as FLAC: lossless at about half of a wav, and played by every
current browser. Excerpts (what was kept, what was thrown away) are spans of it that the
page's script puts together, so ten thresholds cost no more bytes than one.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from corpuskit.report.markup import Html, element

__all__ = ["excerpt", "gain_for", "player", "players", "sound_uri"]

Samples = npt.NDArray[np.float64]
Seconds = tuple[float, float]

_LOUDEST = -6.0  # dBFS; the peak an amplified excerpt is brought to


def sound_uri(samples: Samples, rate: int) -> str:
    """Return (n,) samples (full scale 1.0) as a data URI; 16-bit samples come back exactly."""
    import soundfile

    steps = np.clip(np.round(np.asarray(samples, dtype=np.float64) * 32768), -32768, 32767)
    buffer = io.BytesIO()
    soundfile.write(buffer, steps.astype(np.int16), rate, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()


def player(name: str, samples: Samples, rate: int, *, label: str) -> Html:
    """Return a player of a whole recording. `name` is its id in the page, for excerpts."""
    return element(
        "audio",
        id=name,
        controls=True,
        preload="metadata",
        aria_label=label,
        title=label,
        src=sound_uri(samples, rate),
    )


def excerpt(
    of: str, spans: Sequence[Seconds], *, label: str, gain: float = 0.0, pause: float = 0.05
) -> Html:
    """Return a button that plays spans (seconds) of the player `of`, one after the other.

    Parameters
    ----------
    gain : dB; what is thrown away is often too quiet to judge otherwise
    pause : seconds between two spans

    """
    length = math.fsum(end - begin for begin, end in spans)
    louder = f", {gain:.0f} dB louder" if gain else ""
    return element(
        "button",
        f"▶ {label} {length:.2f} s{louder}",
        type="button",
        aria_pressed="false",
        disabled=not spans,
        data_of=of,
        data_spans=json.dumps([[round(a, 5), round(b, 5)] for a, b in spans]),
        data_gain=round(gain, 1),
        data_pause=pause,
    )


def gain_for(samples: Samples, rate: int, spans: Sequence[Seconds], most: float = 40.0) -> float:
    """Return the whole dB, at most `most`, that bring the spans' peak up to -6 dBFS."""
    peak = max(
        (
            float(np.abs(samples[round(a * rate) : round(b * rate)]).max(initial=0.0))
            for a, b in spans
        ),
        default=0.0,
    )
    if peak <= 0.0:
        return 0.0
    return float(max(0, min(most, math.floor(_LOUDEST - 20 * math.log10(peak)))))


def players(*parts: Html) -> Html:
    """Return players and excerpt buttons in a row."""
    return element("div", *parts, class_="players")
