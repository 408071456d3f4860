"""What thresholds would do, before anything is built: measured, recommended, shown.

    levels      how loud a voice's noise and its quietest speech are
    survey      what each threshold would cut, silence and break into phrases
    recommend   which threshold the recordings ask for, and why
    words       the cells of its tables, for terminal and page

Decisions are `silence.analyse`'s, as in a build, on level curves alone: no feature is
measured, nothing is frozen.
"""
