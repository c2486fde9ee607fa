from course_utils.lessons.nsp.exercises import *
