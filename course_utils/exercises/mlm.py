from course_utils.lessons.mlm.exercises import *
