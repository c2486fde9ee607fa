"""BERT, from its configuration to the heads of its pretraining, top to bottom in one sitting.

    input_ids -> BertEmbeddings -> BertLayer x num_hidden_layers -> last_hidden_state -> MLM head
                                                                 -> BertPooler ([CLS]) -> NSP head

The model is that of Devlin et al. 2018 (arXiv 1810.04805), called "the paper" below; its layer is the encoder
layer of Vaswani et al. 2017 (arXiv 1706.03762). Attribute names spell the state-dict names of the
`transformers` library, so weights move between the two in both directions without a table of names.

Shapes are written in the words of the configuration: `batch`, `seq_len`, `hidden_size`, `vocab_size`,
`heads` = `num_attention_heads` and `head_size` = `hidden_size / heads`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.bert.inputs import check_inputs, check_labels, check_network, check_sizes
from course_utils.bert.losses import PretrainingLosses, pretraining_losses
from course_utils.bert.parameters import TiedModule, initialise_weights
from course_utils.bert.read import states_at
from course_utils.checks import IGNORE_INDEX, check_one_of
from course_utils.hints import Count, Positive, ProperShare, Share, hold_to_hints
from course_utils.masks import to_attention_bias

# The paper's GELU is x * Phi(x) with the exact normal distribution function, by erf. OpenAI's GPT and later
# Google's BERT code use a tanh approximation that differs by up to 5e-4; checkpoints say which they want.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys(("gelu", "gelu_python"), F.gelu),
    **dict.fromkeys(
        ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"),
        partial(F.gelu, approximate="tanh"),
    ),
    "relu": F.relu,
}

# (num_hidden_layers, hidden_size). A head is always 64 wide, the feed-forward layer four times the
# hidden size. Base and large: the paper, section 3. The others: Turc et al. 2019 (arXiv 1908.08962).
NAMED_SIZES = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}


# ---- Configuration -------------------------------------------------------------------------------


@dataclass
class BertConfig:
    """The numbers that fix a BERT; names and defaults are `transformers.BertConfig`'s: BERT-base."""

    vocab_size: Count = 30522
    hidden_size: Count = 768
    num_hidden_layers: Count = 12
    num_attention_heads: Count = 12
    intermediate_size: Count = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: ProperShare = 0.1
    attention_probs_dropout_prob: ProperShare = 0.1
    max_position_embeddings: Count = 512
    type_vocab_size: Count = 2
    initializer_range: Positive = 0.02
    layer_norm_eps: Positive = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: ProperShare | None = None  # None: use hidden_dropout_prob
    num_labels: Count = 2

    def __post_init__(self) -> None:
        check_sizes(self)
        check_one_of("hidden_act", self.hidden_act, ACTIVATIONS)

    @classmethod
    def named(cls, name: str, **overrides: Any) -> "BertConfig":
        """A published size, such as "tiny" or "base" (`NAMED_SIZES`); `overrides` win over it."""
        check_one_of("name", name, NAMED_SIZES)
        layers, hidden_size = NAMED_SIZES[name]
        size = {"num_hidden_layers": layers, "hidden_size": hidden_size}
        size |= {"num_attention_heads": hidden_size // 64, "intermediate_size": 4 * hidden_size}
        return cls(**(size | overrides))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "BertConfig":
        """Read the contents of a library `config.json`; keys that change no number are ignored."""
        check_network(values)
        known = {field.name for field in fields(cls)}
        own = {key: value for key, value in values.items() if key in known}
        if values.get("id2label"):  # the library stores the names of the labels, not their number
            own.setdefault("num_labels", len(values["id2label"]))
        return cls(**own)

    def to_dict(self) -> dict[str, Any]:
        """All fields, and the `model_type` by which the library recognises the file."""
        return {"model_type": "bert"} | asdict(self)


# ---- From ids to vectors -------------------------------------------------------------------------


class BertEmbeddings(nn.Module):
    """Sum of three learned tables (which piece, which segment, which position), then LayerNorm, then dropout.

    Source: the paper, section 3, "Input/Output Representations", and figure 2.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Ids `(batch, seq_len)` to `(batch, seq_len, hidden_size)`; no segment ids: all segment 0."""
        words = self.word_embeddings(input_ids)
        if token_type_ids is None:
            segments = self.token_type_embeddings.weight[0]  # (hidden_size,), the same for every token
        else:
            segments = self.token_type_embeddings(token_type_ids)
        seq_len = input_ids.shape[1]
        positions = self.position_embeddings.weight[:seq_len]  # (seq_len, hidden_size), for every row
        return self.dropout(self.LayerNorm(words + segments + positions))


# ---- Attention -----------------------------------------------------------------------------------


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout_p: Share = 0.0
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, each step written out: softmax(Q K^T / sqrt(head_size)) V.

    Without the division the scores grow with head_size, the softmax saturates, and its gradient vanishes.

    Args:
        query: `(batch, heads, query_len, head_size)`.
        key, value: `(batch, heads, key_len, head_size)`.
        mask: bool, True = may attend; broadcasts to `(batch, heads, query_len, key_len)`. None: all may.
        dropout_p: probability with which a weight is dropped before the values are mixed.

    Returns:
        context `(batch, heads, query_len, head_size)`: for each query a weighted mean of the values, and
        weights `(batch, heads, query_len, key_len)` before dropout: each row sums to 1.

    Source: Vaswani et al. 2017, section 3.2.1, equation 1.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + to_attention_bias(mask, scores.dtype)
    weights = scores.softmax(dim=-1)
    context = F.dropout(weights, dropout_p) @ value
    return context, weights


class SelfAttention(nn.Module):
    """Each token asks (query), offers (key) and gives (value), in several heads (Vaswani et al., 3.2.2)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.num_attention_heads = config.num_attention_heads
        self.dropout_p = config.attention_probs_dropout_prob
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def split_heads(self, states: Tensor) -> Tensor:
        """`(batch, seq_len, hidden_size)` to `(batch, heads, seq_len, head_size)`."""
        return states.unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the context `(batch, seq_len, hidden_size)` and, on request, the weights of every head.

        The fused kernel computes what `attention` computes without ever holding the whole table of
        weights: faster and smaller, but it has no weights to show.
        """
        query = self.split_heads(self.query(hidden_states))
        key = self.split_heads(self.key(hidden_states))
        value = self.split_heads(self.value(hidden_states))
        dropout_p = self.dropout_p if self.training else 0.0
        weights = None
        if output_attentions:
            context, weights = attention(query, key, value, mask, dropout_p)
        else:
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout_p)
        return context.transpose(1, 2).flatten(2), weights


# ---- The layer, and a stack of layers ------------------------------------------------------------


class AddAndNorm(nn.Module):
    """The end of a sublayer: project to hidden_size, drop out, add what came in, only then normalise.

    This order, LayerNorm(x + sublayer(x)), is called post-norm (Vaswani et al. 2017, section 3.1).
    """

    def __init__(self, in_features: Count, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(in_features, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, sublayer_states: Tensor, residual: Tensor) -> Tensor:
        """`(batch, seq_len, in_features)` and `(batch, seq_len, hidden_size)` to the latter."""
        return self.LayerNorm(residual + self.dropout(self.dense(sublayer_states)))


class AttentionSublayer(nn.Module):
    """Tokens exchange information: self-attention, then add and normalise."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = SelfAttention(config)  # called self in the library too
        self.output = AddAndNorm(config.hidden_size, config)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Hidden states `(batch, seq_len, hidden_size)` in and out; the weights of the heads on request."""
        context, weights = self.self(hidden_states, mask, output_attentions)
        return self.output(context, hidden_states), weights


class Intermediate(nn.Module):
    """The wide half of the feed-forward sublayer: to `intermediate_size`, then the activation."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`(batch, seq_len, hidden_size)` to `(batch, seq_len, intermediate_size)`."""
        return self.activation(self.dense(hidden_states))


class BertLayer(nn.Module):
    """Attention mixes tokens; the feed-forward sublayer works on each alone (Vaswani et al., 3.1, 3.3)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = AttentionSublayer(config)
        self.intermediate = Intermediate(config)
        self.output = AddAndNorm(config.intermediate_size, config)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Hidden states `(batch, seq_len, hidden_size)` in and out; the weights of the heads on request."""
        hidden_states, weights = self.attention(hidden_states, mask, output_attentions)
        return self.output(self.intermediate(hidden_states), hidden_states), weights


class BertEncoder(nn.Module):
    """`num_hidden_layers` layers of one shape, each with weights of its own."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> tuple[Tensor, tuple[Tensor, ...] | None, tuple[Tensor, ...] | None]:
        """The last hidden state `(batch, seq_len, hidden_size)` and, on request, what led to it.

        That is all `num_hidden_layers + 1` hidden states, the embeddings first, and the attention weights of
        each layer; None where not requested.
        """
        all_states, all_weights = [hidden_states], []
        for layer in self.layer:
            hidden_states, weights = layer(hidden_states, mask, output_attentions)
            if output_hidden_states:
                all_states.append(hidden_states)
            if output_attentions:
                all_weights.append(weights)
        return (
            hidden_states,
            tuple(all_states) if output_hidden_states else None,
            tuple(all_weights) if output_attentions else None,
        )


class BertPooler(nn.Module):
    """One vector for the row: the last hidden state of `[CLS]` through a Linear layer and tanh.

    Source: the released code; the paper's C in section 3.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, last_hidden_state: Tensor) -> Tensor:
        """`(batch, seq_len, hidden_size)` to `(batch, hidden_size)`."""
        return self.dense(last_hidden_state[:, 0]).tanh()


# ---- The model: everything up to the heads -------------------------------------------------------


@dataclass
class BertModelOutput:
    """Last hidden states, the pooled [CLS] and, if asked for, every state and attention weight."""

    last_hidden_state: Tensor  # (batch, seq_len, hidden_size)
    pooler_output: Tensor | None  # (batch, hidden_size)
    hidden_states: tuple[Tensor, ...] | None = None  # embeddings first; shaped as last_hidden_state
    attentions: tuple[Tensor, ...] | None = None  # one a layer: (batch, heads, seq_len, seq_len)


class BertModel(nn.Module):
    """Embeddings, encoder and pooler, with freshly drawn weights; some heads need no pooler."""

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        initialise_weights(self, config.initializer_range)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> BertModelOutput:
        """Run the encoder.

        Args:
            input_ids: integers `(batch, seq_len)`, each from 0 to `vocab_size - 1`.
            attention_mask: bool or 0/1 integers, 1 = may be attended to; `(batch, seq_len)` or
                `(batch, query_len, key_len)`, see `course_utils.masks`. None: all of them.
            token_type_ids: integers `(batch, seq_len)`, 0 = first segment, 1 = second. None: all 0.
            output_hidden_states: also return the state after the embeddings and after each layer.
            output_attentions: also return the attention weights, on the slower, written-out path.

        Raises:
            ValueError: naming the argument, what is expected and what came.
        """
        mask = check_inputs(self.config, input_ids, attention_mask, token_type_ids)
        embeddings = self.embeddings(input_ids, token_type_ids)
        last_hidden_state, hidden_states, attentions = self.encoder(
            embeddings, mask, output_hidden_states, output_attentions
        )
        pooler_output = None if self.pooler is None else self.pooler(last_hidden_state)
        return BertModelOutput(last_hidden_state, pooler_output, hidden_states, attentions)


# ---- Pretraining: masked language modelling and next sentence prediction -------------------------


class PredictionTransform(nn.Module):
    """Linear, activation, LayerNorm: the hidden state, ready to be compared with word embeddings."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`(..., hidden_size)` in and out."""
        return self.LayerNorm(self.activation(self.dense(hidden_states)))


class MLMHead(nn.Module):
    """Scores for every piece: dot products with the word embeddings, plus a bias a piece.

    The decoder's weight *is* the word embedding table (`BertForPreTraining` ties them). The
    bias has two names in a state dict, `bias` and `decoder.bias`, and is one parameter.

    Source: the released code.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.bias = self.decoder.bias

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`(..., hidden_size)` to `(..., vocab_size)`."""
        return self.decoder(self.transform(hidden_states))


class PretrainingHeads(nn.Module):
    """The MLM head reads token states, the NSP head the pooled [CLS]."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.predictions = MLMHead(config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)


@dataclass
class BertForPreTrainingOutput:
    """Both sets of logits, and the losses for which labels were given (see PretrainingLosses)."""

    prediction_logits: Tensor  # (batch, seq_len, vocab_size)
    seq_relationship_logits: Tensor  # (batch, 2)
    loss: Tensor | None = None
    mlm_loss: Tensor | None = None
    nsp_loss: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class BertForPreTraining(TiedModule):
    """BERT with the two heads of its pretraining. Source: the paper, section 3.1 and appendix A.2."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        self.cls = PretrainingHeads(config)
        initialise_weights(self.cls, config.initializer_range)
        self.tie_weights()

    def tie_weights(self) -> None:
        """One tensor each for the two names of the word embeddings and of the bias of the pieces."""
        predictions = self.cls.predictions
        predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight
        predictions.bias = predictions.decoder.bias

    def forward(
        self,
        *inputs: Tensor | None,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        **options: Tensor | bool | None,
    ) -> BertForPreTrainingOutput:
        """Score every piece at every position, and whether the second segment follows the first.

        Args:
            inputs, options: those of `BertModel`, by place or by name.
            labels: integers `(batch, seq_len)`: the original id at selected positions, else -100.
            next_sentence_label: integers `(batch,)`: 0 = follows, 1 = does not, -100 = no label.
        """
        output = self.bert(*inputs, **options)
        prediction_logits = self.cls.predictions(output.last_hidden_state)
        seq_relationship_logits = self.cls.seq_relationship(output.pooler_output)
        if labels is not None:
            check_labels("labels", labels, prediction_logits.shape)
        losses = pretraining_losses(prediction_logits, labels, seq_relationship_logits, next_sentence_label)
        return BertForPreTrainingOutput(
            prediction_logits, seq_relationship_logits, *losses, output.hidden_states, output.attentions
        )

    def score_selected(
        self, input_ids: Tensor, *inputs: Tensor | None, labels: Tensor, **named: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both sets of logits, the first only where `labels` is not -100: `(selected, vocab_size)`.

        Row k belongs to `labels[labels != -100][k]`; the second set is `(batch, 2)`. Head and last layer,
        most of a small BERT's work, are done only where they are read.
        """
        check_labels("labels", labels, (*input_ids.shape, self.config.vocab_size))
        selected = labels != IGNORE_INDEX
        states, pooler_output = states_at(self.bert, selected, input_ids, *inputs, **named)
        return self.cls.predictions(states), self.cls.seq_relationship(pooler_output)

    def losses(
        self,
        input_ids: Tensor,
        *inputs: Tensor | None,
        labels: Tensor,
        next_sentence_label: Tensor | None = None,
        **named: Tensor | None,
    ) -> PretrainingLosses:
        """The losses of `forward` and nothing else: all that training needs, for less work."""
        scores, seq_relationship_logits = self.score_selected(input_ids, *inputs, labels=labels, **named)
        labels = labels[labels != IGNORE_INDEX]
        return pretraining_losses(scores, labels, seq_relationship_logits, next_sentence_label)


hold_to_hints(globals())
