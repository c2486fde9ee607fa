from course_utils.lessons.sentence_vectors.exercises import *
