from course_utils.lessons.classification.exercises import *
