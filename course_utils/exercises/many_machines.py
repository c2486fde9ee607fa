from course_utils.lessons.many_machines.exercises import *
