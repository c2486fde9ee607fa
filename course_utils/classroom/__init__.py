"""What all lessons share: the exercises' engine, quizzes, figures, controls, and the record of progress.

A lesson's own files lie in `course_utils/lessons/<lesson>`; they are found by these names.
"""

LESSONS = (  # in the order of the notebooks, 00 to 14
    "start_here",
    "word2vec",
    "wordpiece",
    "embeddings",
    "attention",
    "masks",
    "encoder",
    "mlm",
    "nsp",
    "pretraining",
    "classification",
    "tasks",
    "inside_bert",
    "cost",
    "family",
)
