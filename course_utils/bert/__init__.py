"""BERT. `model` is the model, from configuration to pretraining heads: read it first, top to bottom.

Beside it stand `losses` (of pretraining), `heads` (fine-tuning), `weights` (checkpoints in and out) and
`inputs` (what is refused). Everything that the course uses can be imported from here.
"""

from course_utils.bert.heads import (
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    ClassificationOutput,
    QuestionAnsweringOutput,
    TaskModel,
)
from course_utils.bert.losses import PretrainingLosses, mean_cross_entropy
from course_utils.bert.model import (
    ACTIVATIONS,
    NAMED_SIZES,
    AddAndNorm,
    AttentionSublayer,
    BertConfig,
    BertEmbeddings,
    BertEncoder,
    BertForPreTraining,
    BertForPreTrainingOutput,
    BertLayer,
    BertModel,
    BertModelOutput,
    BertPooler,
    Intermediate,
    MLMHead,
    PredictionTransform,
    PretrainingHeads,
    SelfAttention,
    attention,
)
from course_utils.bert.parameters import initialise_weights
from course_utils.bert.weights import LoadReport, count_parameters, load_weights
from course_utils.checks import IGNORE_INDEX

__all__ = [
    "ACTIVATIONS",
    "IGNORE_INDEX",
    "NAMED_SIZES",
    "AddAndNorm",
    "AttentionSublayer",
    "BertConfig",
    "BertEmbeddings",
    "BertEncoder",
    "BertForPreTraining",
    "BertForPreTrainingOutput",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertLayer",
    "BertModel",
    "BertModelOutput",
    "BertPooler",
    "ClassificationOutput",
    "Intermediate",
    "LoadReport",
    "MLMHead",
    "PredictionTransform",
    "PretrainingHeads",
    "PretrainingLosses",
    "QuestionAnsweringOutput",
    "SelfAttention",
    "TaskModel",
    "attention",
    "count_parameters",
    "initialise_weights",
    "load_weights",
    "mean_cross_entropy",
]
