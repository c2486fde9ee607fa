from course_utils.lessons.pretraining.exercises import *
