from course_utils.lessons.encoder.exercises import *
