"""`python -m trainer` is `trainer`; `torchrun -m trainer` starts it."""

from trainer.cli import main

main()
