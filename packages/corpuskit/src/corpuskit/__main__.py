"""What `corpuskit` and `python -m corpuskit` run.

The commands take a third of a second to import. Ctrl-C within it ends the program as it ends
any other, instead of with a traceback through the imports.
"""

from __future__ import annotations

import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not below nohup
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from corpuskit.cli import main as commands

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    commands()


if __name__ == "__main__":
    main()
