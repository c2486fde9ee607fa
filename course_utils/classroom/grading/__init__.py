"""Grading what students hand in: `python -m course_utils.grade FOLDER`.

A notebook that comes back may print "passed" whatever is true, put another function in the place of `check`,
or change the engine under it. So nothing that it says is believed. It runs in a process of its own, the room,
which holds what the student defined and decides nothing. The checks run in the grader's process, where no
line of the student's is ever executed: they call the answer through a pipe, and only plain values come back.

    wire        plain values to bytes and back; nothing else comes through
    room        the student's side: runs the cells, then answers calls
    judge       the grader's side: an answer that stands elsewhere, put to the engine's check
    hand_ins    the notebooks in a folder: whose they are, and of which lesson
    report      the table (CSV) and the page on the class
    command     the options, and what is printed
"""
