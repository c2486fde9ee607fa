"""`python -m course_utils.quizzes canvas` or `moodle`: quizzes as files; see `classroom/quiz_files.py`."""

if __name__ == "__main__":
    from course_utils.classroom.quiz_files import main
    from course_utils.commands import run

    run(main)
