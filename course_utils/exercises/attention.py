from course_utils.lessons.attention.exercises import *
