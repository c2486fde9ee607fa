"""Progress under the name that notebooks use; it stands in `course_utils/classroom/progress.py`."""

from course_utils.classroom.progress import (
    exercises,
    export,
    forget,
    merge,
    news,
    number,
    passed,
    seen,
    show,
    to_html,
)

__all__ = ["exercises", "export", "forget", "merge", "news", "number", "passed", "seen", "show", "to_html"]
