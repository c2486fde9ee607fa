from course_utils.lessons.wordpiece.exercises import *
