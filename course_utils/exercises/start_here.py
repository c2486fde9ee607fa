from course_utils.lessons.start_here.exercises import *
