"""Fine-tuning: the same encoder, one more Linear layer, and what it says about a row, a token or a span."""

from dataclasses import dataclass

from torch import Tensor, nn

from course_utils.bert.inputs import check_labels, check_range, check_shape
from course_utils.bert.losses import mean_cross_entropy
from course_utils.bert.model import BertConfig, BertModel
from course_utils.bert.parameters import initialise_weights
from course_utils.checks import IGNORE_INDEX, refusal
from course_utils.hints import hold_to_hints


@dataclass
class ClassificationOutput:
    """Logits `(batch, num_labels)` for rows, or `(batch, seq_len, num_labels)` for tokens."""

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class QuestionAnsweringOutput:
    """How well each token would do as first and as last of the answer: `(batch, seq_len)` each."""

    loss: Tensor | None
    start_logits: Tensor
    end_logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class BertForSequenceClassification(nn.Module):
    """One label for a row (a sentence or a pair): pooler, dropout, Linear. Source: the paper, section 4.1."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        self.dropout, self.classifier = classifier_head(config)

    def forward(
        self, *inputs: Tensor | None, labels: Tensor | None = None, **options: Tensor | bool | None
    ) -> ClassificationOutput:
        """Inputs and options are those of `BertModel`; `labels` `(batch,)`, -100 for none.

        The loss is the mean cross-entropy over labelled rows, in nats.
        """
        output = self.bert(*inputs, **options)
        logits = self.classifier(self.dropout(output.pooler_output))
        loss = classification_loss(logits, labels)
        return ClassificationOutput(loss, logits, output.hidden_states, output.attentions)


class BertForTokenClassification(nn.Module):
    """One label for each token (entities, parts of speech): dropout, Linear; no pooler.

    Source: the paper, section 5.3.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout, self.classifier = classifier_head(config)

    def forward(
        self, *inputs: Tensor | None, labels: Tensor | None = None, **options: Tensor | bool | None
    ) -> ClassificationOutput:
        """Inputs and options are those of `BertModel`; `labels` `(batch, seq_len)`, -100 for none.

        The loss is the mean over labelled tokens in nats, and 0 when there is none.
        """
        output = self.bert(*inputs, **options)
        logits = self.classifier(self.dropout(output.last_hidden_state))
        loss = classification_loss(logits, labels)
        return ClassificationOutput(loss, logits, output.hidden_states, output.attentions)


class BertForQuestionAnswering(nn.Module):
    """The answer is a span of the text: a start and an end score for each token.

    Source: the paper, section 4.2.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        initialise_weights(self.qa_outputs, config.initializer_range)

    def forward(
        self,
        *inputs: Tensor | None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        **options: Tensor | bool | None,
    ) -> QuestionAnsweringOutput:
        """Inputs and options are those of `BertModel`; positions are integers `(batch,)`.

        They are the first and the last token of each answer. The loss is the mean of the two cross-entropies
        over positions. A position from `seq_len` on is an answer that truncation cut away: it is left out.
        """
        output = self.bert(*inputs, **options)
        start_logits, end_logits = self.qa_outputs(output.last_hidden_state).unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            start_loss = span_loss("start_positions", start_logits, start_positions)
            end_loss = span_loss("end_positions", end_logits, end_positions)
            if not start_positions.is_meta and (end_positions < start_positions).any():
                row = int((end_positions < start_positions).nonzero()[0])
                start, end = int(start_positions[row]), int(end_positions[row])
                raise refusal(f"end_positions[{row}]", f"start_positions[{row}]={start} or more", end)
            loss = (start_loss + end_loss) / 2
        elif start_positions is not None or end_positions is not None:
            given = "only end_positions" if start_positions is None else "only start_positions"
            raise refusal("positions", "both start_positions and end_positions, or neither", given)
        return QuestionAnsweringOutput(
            loss, start_logits, end_logits, output.hidden_states, output.attentions
        )


TaskModel = BertForSequenceClassification | BertForTokenClassification | BertForQuestionAnswering


def classifier_head(config: BertConfig) -> tuple[nn.Dropout, nn.Linear]:
    """Dropout and a freshly drawn Linear layer from `hidden_size` to `num_labels`."""
    if config.num_labels < 2:
        raise refusal("num_labels", "2 or more", config.num_labels, "one label leaves nothing to choose")
    dropout_p = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
    classifier = nn.Linear(config.hidden_size, config.num_labels)
    initialise_weights(classifier, config.initializer_range)
    return nn.Dropout(dropout_p), classifier


def classification_loss(logits: Tensor, labels: Tensor | None) -> Tensor | None:
    """Mean cross-entropy of `labels` `(...)` under `logits` `(..., num_labels)`; None without any."""
    if labels is None:
        return None
    check_labels("labels", labels, logits.shape)
    return mean_cross_entropy(logits, labels)


def span_loss(name: str, logits: Tensor, positions: Tensor) -> Tensor:
    """Cross-entropy of `positions` `(batch,)` under `logits` `(batch, seq_len)`, in nats.

    Positions from `seq_len` on are left out.
    """
    batch, seq_len = logits.shape
    check_shape(name, positions, (batch,))
    check_range(name, positions.clamp(max=seq_len - 1), seq_len, ", or more for an answer that was cut away")
    return mean_cross_entropy(logits, positions.masked_fill(positions >= seq_len, IGNORE_INDEX))


hold_to_hints(globals())
