from course_utils.lessons.masks.exercises import *
