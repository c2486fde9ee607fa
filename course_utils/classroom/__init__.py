"""What all lessons share: the exercises' engine, quizzes, figures, controls, and the record of progress.

A lesson's own files lie in `course_utils/lessons/<lesson>`; they are found by these names.
"""

NUMBER_OF = {  # lesson -> the number that its notebook begins with, in reading order
    "start_here": "00",
    "word2vec": "01",
    "wordpiece": "02",
    "embeddings": "03",
    "attention": "04",
    "masks": "05",
    "encoder": "06",
    "mlm": "07",
    "nsp": "08",
    "pretraining": "09",
    "classification": "10",
    "tasks": "11",
    "inside_bert": "12",
    "cost": "13",
    "family": "14",
    "sentence_vectors": "15",
    "modern": "16",
    "your_own_data": "17",
    "many_machines": "18",
}
LESSONS = tuple(NUMBER_OF)
BY_NUMBER = {number: lesson for lesson, number in NUMBER_OF.items()}
