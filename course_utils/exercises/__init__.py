"""The exercises under the names that notebooks use, one module for each notebook.

A notebook imports its own module and asks it for a check, a hint or the solution:

    from course_utils.exercises import masks as ex

    ex.causal_mask.check(causal_mask)   # tells what is right and what is not yet
    ex.causal_mask.hint()               # each call gives the next hint
    ex.causal_mask.solution()           # shows one way to write it

They stand in `course_utils/lessons/<lesson>/exercises.py`; `start_here` is the one to read first.
"""
