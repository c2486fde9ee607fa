"""`python -m course_utils.grade FOLDER`: grade notebooks that came back; see `classroom/grading`."""

if __name__ == "__main__":
    from course_utils.classroom.grading.command import main
    from course_utils.commands import run

    run(main)
