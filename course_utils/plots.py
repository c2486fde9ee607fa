"""The figures under the name that notebooks use; they stand in `course_utils/classroom/plots`."""

from course_utils.classroom.plots import *
