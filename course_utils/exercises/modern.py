from course_utils.lessons.modern.exercises import *
