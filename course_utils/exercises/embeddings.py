from course_utils.lessons.embeddings.exercises import *
