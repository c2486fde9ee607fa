from course_utils.lessons.your_own_data.exercises import *
