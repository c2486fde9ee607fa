from course_utils.lessons.tasks.exercises import *
