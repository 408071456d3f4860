"""Parts of a page of which one at a time is shown: a row of buttons, arrow keys, no network.

Without scripts the selected alternative is shown and the others are not.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpuskit.report.markup import Html, element, joined

__all__ = ["chooser", "when"]


def chooser(
    group: str, legend: str, options: Sequence[tuple[str, str]], selected: str, *, place: str = ""
) -> Html:
    """Return the buttons of a group of alternatives, (value, label) each.

    `?GROUP=VALUE` in the page's address selects one too. `place` tells apart several
    choosers of one group.
    """
    buttons = []
    for number, (value, label) in enumerate(options):
        name = f"{group}{place}-{number}"
        buttons.append(
            joined(
                element(
                    "input",
                    type="radio",
                    id=name,
                    name=group,
                    value=value,
                    checked=value == selected,
                ),
                element("label", label, for_=name),
            )
        )
    return element("fieldset", element("legend", legend), *buttons, class_="chooser")


def when(group: str, value: str, selected: str, *parts: object, name: str = "div") -> Html:
    """Return parts that show while `value` is chosen in `group` (`name="g"` inside a plot)."""
    hidden = "off" if value != selected else None
    return element(name, *parts, data_group=group, data_value=value, class_=hidden)
