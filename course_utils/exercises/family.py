from course_utils.lessons.family.exercises import *
