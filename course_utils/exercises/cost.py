from course_utils.lessons.cost.exercises import *
