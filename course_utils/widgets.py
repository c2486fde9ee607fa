"""The panels of all notebooks under one name; each stands in its lesson, `lessons/<lesson>/panel.py`."""

from course_utils.classroom.controls import table
from course_utils.lessons.attention.panel import AttentionExplorer
from course_utils.lessons.classification.panel import review_reader
from course_utils.lessons.cost.panel import cost_calculator, roofline_view
from course_utils.lessons.embeddings.panel import embedding_sum
from course_utils.lessons.encoder.panel import residual_dial
from course_utils.lessons.family.panel import relatives
from course_utils.lessons.inside_bert.panel import sense_explorer
from course_utils.lessons.many_machines.panel import cluster_planner
from course_utils.lessons.masks.panel import MaskPlayground
from course_utils.lessons.mlm.panel import masking_html, masking_playground
from course_utils.lessons.modern.panel import six_changes
from course_utils.lessons.nsp.panel import next_sentence
from course_utils.lessons.pretraining.panel import training_replay
from course_utils.lessons.sentence_vectors.panel import sentence_search
from course_utils.lessons.start_here.panel import fill_blank, guesses_html
from course_utils.lessons.tasks.panel import answer_finder
from course_utils.lessons.word2vec.panel import neighbours
from course_utils.lessons.wordpiece.panel import piece_reader, pieces_html
from course_utils.lessons.your_own_data.panel import doubt_dial

__all__ = [
    "AttentionExplorer",
    "MaskPlayground",
    "answer_finder",
    "cluster_planner",
    "cost_calculator",
    "doubt_dial",
    "embedding_sum",
    "fill_blank",
    "guesses_html",
    "masking_html",
    "masking_playground",
    "neighbours",
    "next_sentence",
    "piece_reader",
    "pieces_html",
    "relatives",
    "residual_dial",
    "review_reader",
    "roofline_view",
    "sense_explorer",
    "sentence_search",
    "six_changes",
    "table",
    "training_replay",
]
