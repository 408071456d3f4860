"""The colours of a page, each in light and dark. Everything else refers to them by name."""

from __future__ import annotations

__all__ = ["COLOURS", "declarations"]

# name: (light, dark). Text colours reach 4.5:1 on paper and panel, marks 3:1 (WCAG 2.2 AA).
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#13161b"),
    "panel": ("#f3f5f7", "#1c2027"),
    "ink": ("#1a1f26", "#e7eaef"),
    "faint": ("#545d68", "#a3adba"),
    "line": ("#c9d0d8", "#3a424d"),
    "accent": ("#0a58a8", "#79b8ff"),
    "on-accent": ("#ffffff", "#0d1117"),
    "good": ("#146c2e", "#5fd47a"),
    "warning": ("#8a4b00", "#f0b35a"),
    "bad": ("#b42336", "#ff8795"),
    "wave": ("#66778a", "#8496aa"),
    "level": ("#0a58a8", "#79b8ff"),
    "pitch": ("#7a3fb0", "#cda4ff"),
    "cut": ("#c4314b", "#ff7b8e"),
    "silent": ("#a86400", "#e0a63c"),
    "break": ("#146c2e", "#5fd47a"),
    "first": ("#66778a", "#8496aa"),
    "second": ("#b3541e", "#ff9b5e"),
    "third": ("#0a58a8", "#79b8ff"),
    "fourth": ("#146c2e", "#5fd47a"),
}


def declarations(theme: int) -> str:
    """Return the CSS variables of a theme: 0 is light, 1 is dark."""
    return "".join(f"--{name}:{values[theme]};" for name, values in COLOURS.items())
