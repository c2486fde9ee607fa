from course_utils.lessons.word2vec.exercises import *
