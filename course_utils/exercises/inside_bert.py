from course_utils.lessons.inside_bert.exercises import *
