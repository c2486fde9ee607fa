"""BERT, from the sum of three embeddings to the loss, in one file that reads from top to bottom.

    input_ids -> BertEmbeddings -> BertLayer x num_hidden_layers -> last_hidden_state -> MLM head, tags, spans
                                                                 -> BertPooler ([CLS]) -> NSP head, classifier

The model is that of Devlin et al. 2018 (arXiv 1810.04805), called "the paper" below; its layer is the
encoder layer of Vaswani et al. 2017 (arXiv 1706.03762). Attribute names spell the state-dict names of the
``transformers`` library, so weights move between the two in both directions without a table of names.

Shapes are written in the words of the configuration: ``batch``, ``seq_len``, ``hidden_size``, ``vocab_size``,
``heads`` = ``num_attention_heads`` and ``head_size`` = ``hidden_size / num_attention_heads``.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.masks import check_mask, to_attention_bias

IGNORE_INDEX = -100  # the label of a position that the loss skips

# The paper's GELU is x * Phi(x) with the exact normal distribution function, by erf. OpenAI's GPT and later
# Google's BERT code use a tanh approximation that differs by up to 5e-4; checkpoints say which one they were
# trained with.
ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}

# (num_hidden_layers, hidden_size). A head is always 64 wide, the feed-forward layer four times the hidden
# size. Base and large: the paper, section 3. The others: Turc et al. 2019 (arXiv 1908.08962).
NAMED_SIZES = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}

# What a library config.json may also say. Any other value means another network than the one in this file.
FIXED_SETTINGS = {
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


# ----------------------------------------------------------------------------------------------------------
# Configuration
# ----------------------------------------------------------------------------------------------------------


@dataclass
class BertConfig:
    """The numbers that fix a BERT; names and defaults are those of ``transformers.BertConfig``: BERT-base."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None  # None: use hidden_dropout_prob
    num_labels: int = 2

    def __post_init__(self) -> None:
        for name in (
            "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
            "max_position_embeddings", "type_vocab_size", "num_labels",
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; allowed is a whole number from 1")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} is {value}; allowed is 0 <= {name} < 1")
        for name in ("initializer_range", "layer_norm_eps"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed is a finite number above 0")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size is {self.hidden_size}; allowed is a multiple of num_attention_heads="
                f"{self.num_attention_heads}, since the heads share it equally"
            )
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act is {self.hidden_act!r}; allowed is one of {', '.join(ACTIVATIONS)}")
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id is {self.pad_token_id}; allowed is None or 0 to {self.vocab_size - 1}"
            )

    @classmethod
    def named(cls, name: str, **overrides: Any) -> "BertConfig":
        """A published size: one of ``NAMED_SIZES``, such as "tiny" or "base"; ``overrides`` win over it."""
        if name not in NAMED_SIZES:
            raise ValueError(f"name is {name!r}; allowed is one of {', '.join(NAMED_SIZES)}")
        layers, hidden_size = NAMED_SIZES[name]
        size = {
            "num_hidden_layers": layers,
            "hidden_size": hidden_size,
            "num_attention_heads": hidden_size // 64,
            "intermediate_size": 4 * hidden_size,
        }
        return cls(**(size | overrides))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "BertConfig":
        """Read the contents of a library ``config.json``.

        Keys that do not touch the computation are ignored. Keys that would make it another network (a
        decoder, relative positions, untied embeddings, another ``model_type``) are refused with
        ``ValueError``.
        """
        for key, expected in FIXED_SETTINGS.items():
            if values.get(key, expected) != expected:
                raise ValueError(
                    f"{key} is {values[key]!r}; allowed is {expected!r}: this file builds no other BERT"
                )
        known = {field.name for field in fields(cls)}
        own = {key: value for key, value in values.items() if key in known}
        if values.get("id2label"):  # the library stores the names of the labels instead of their number
            own.setdefault("num_labels", len(values["id2label"]))
        return cls(**own)

    def to_dict(self) -> dict[str, Any]:
        """All fields, and the ``model_type`` by which the library recognises the file."""
        return {"model_type": "bert"} | asdict(self)


# ----------------------------------------------------------------------------------------------------------
# From ids to vectors
# ----------------------------------------------------------------------------------------------------------


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
        """Ids ``(batch, seq_len)`` to ``(batch, seq_len, hidden_size)``; no segment ids: all segment 0."""
        words = self.word_embeddings(input_ids)
        if token_type_ids is None:
            segments = self.token_type_embeddings.weight[0]  # (hidden_size,), the same for every token
        else:
            segments = self.token_type_embeddings(token_type_ids)
        seq_len = input_ids.shape[1]
        positions = self.position_embeddings.weight[
            :seq_len
        ]  # (seq_len, hidden_size), the same for every row
        return self.dropout(self.LayerNorm(words + segments + positions))


# ----------------------------------------------------------------------------------------------------------
# Attention
# ----------------------------------------------------------------------------------------------------------


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout_p: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, each step written out: softmax(Q K^T / sqrt(head_size)) V.

    Without the division the scores grow with head_size, the softmax saturates, and its gradient vanishes.

    Args:
        query: ``(batch, heads, query_len, head_size)``.
        key, value: ``(batch, heads, key_len, head_size)``.
        mask: bool, True = may look; broadcasts to ``(batch, heads, query_len, key_len)``. None: all may look.
        dropout_p: probability with which a weight is dropped before the values are mixed.

    Returns:
        context ``(batch, heads, query_len, head_size)``: for each query a weighted mean of the values, and
        weights ``(batch, heads, query_len, key_len)`` before dropout: each row sums to 1.

    Source: Vaswani et al. 2017, section 3.2.1, equation 1.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + to_attention_bias(mask, scores.dtype)
    weights = scores.softmax(dim=-1)
    context = F.dropout(weights, dropout_p) @ value
    return context, weights


class SelfAttention(nn.Module):
    """Each token asks (query), offers (key) and gives (value), in several heads side by side.

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.num_attention_heads = config.num_attention_heads
        self.dropout_p = config.attention_probs_dropout_prob
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def split_heads(self, states: Tensor) -> Tensor:
        """``(batch, seq_len, hidden_size)`` to ``(batch, heads, seq_len, head_size)``."""
        return states.unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the context ``(batch, seq_len, hidden_size)`` and, on request, the weights of every head.

        The fused kernel computes what :func:`attention` computes without ever holding the whole table of
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


# ----------------------------------------------------------------------------------------------------------
# The layer, and a stack of layers
# ----------------------------------------------------------------------------------------------------------


class AddAndNorm(nn.Module):
    """The end of a sublayer: project to hidden_size, drop out, add what came in, and only then normalise.

    This order, LayerNorm(x + sublayer(x)), is called post-norm. Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, in_features: int, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(in_features, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, sublayer_states: Tensor, residual: Tensor) -> Tensor:
        """``(batch, seq_len, in_features)`` and ``(batch, seq_len, hidden_size)`` to the latter."""
        return self.LayerNorm(residual + self.dropout(self.dense(sublayer_states)))


class AttentionSublayer(nn.Module):
    """Tokens exchange information: self-attention, then add and normalise."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = SelfAttention(config)  # the library's name for it, hence an attribute called self
        self.output = AddAndNorm(config.hidden_size, config)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Hidden states ``(batch, seq_len, hidden_size)`` in and out; the weights of the heads on request."""
        context, weights = self.self(hidden_states, mask, output_attentions)
        return self.output(context, hidden_states), weights


class Intermediate(nn.Module):
    """The wide half of the feed-forward sublayer: to ``intermediate_size``, then the activation."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, hidden_states: Tensor) -> Tensor:
        """``(batch, seq_len, hidden_size)`` to ``(batch, seq_len, intermediate_size)``."""
        return self.activation(self.dense(hidden_states))


class BertLayer(nn.Module):
    """Attention mixes tokens; the feed-forward sublayer then works on each token alone.

    Source: Vaswani et al. 2017, sections 3.1 and 3.3.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = AttentionSublayer(config)
        self.intermediate = Intermediate(config)
        self.output = AddAndNorm(config.intermediate_size, config)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Hidden states ``(batch, seq_len, hidden_size)`` in and out; the weights of the heads on request."""
        hidden_states, weights = self.attention(hidden_states, mask, output_attentions)
        return self.output(self.intermediate(hidden_states), hidden_states), weights


class BertEncoder(nn.Module):
    """``num_hidden_layers`` layers of one shape, each with weights of its own."""

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
        """Returns the last hidden state ``(batch, seq_len, hidden_size)`` and, on request, what led to it.

        That is: all ``num_hidden_layers + 1`` hidden states, the embeddings first, and the attention weights
        of each layer; None where not requested.
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
    """One vector for the row: the last hidden state of ``[CLS]`` through a Linear layer and tanh.

    Source: the released code; the paper's C in section 3.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, last_hidden_state: Tensor) -> Tensor:
        """``(batch, seq_len, hidden_size)`` to ``(batch, hidden_size)``."""
        return self.dense(last_hidden_state[:, 0]).tanh()


# ----------------------------------------------------------------------------------------------------------
# The model: everything up to the heads
# ----------------------------------------------------------------------------------------------------------


@dataclass
class BertModelOutput:
    """The last hidden states, the pooled [CLS] and, if asked for, every state and attention weight."""

    last_hidden_state: Tensor  # (batch, seq_len, hidden_size)
    pooler_output: Tensor | None  # (batch, hidden_size)
    hidden_states: tuple[Tensor, ...] | None = None  # embeddings first; shaped as last_hidden_state
    attentions: tuple[Tensor, ...] | None = None  # one a layer: (batch, heads, seq_len, seq_len)


class BertModel(nn.Module):
    """Embeddings, encoder and pooler, with freshly drawn weights; heads that need no pooler leave it out."""

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
            input_ids: integers ``(batch, seq_len)``, each from 0 to ``vocab_size - 1``.
            attention_mask: bool or 0/1 integers, 1 = may be looked at; ``(batch, seq_len)`` or
                ``(batch, query_len, key_len)``, see :mod:`course_utils.masks`. None: all may look at all.
            token_type_ids: integers ``(batch, seq_len)``, 0 = first segment, 1 = second. None: all 0.
            output_hidden_states: also return the state after the embeddings and after every layer.
            output_attentions: also return the attention weights; this takes the slower, written-out path.

        Raises:
            ValueError: naming the argument, the value and what is allowed.
        """
        if input_ids.dim() != 2 or input_ids.numel() == 0:
            raise ValueError(
                f"input_ids has shape {tuple(input_ids.shape)}; allowed is (batch, seq_len), both at least 1"
            )
        config, (batch, seq_len) = self.config, input_ids.shape
        if seq_len > config.max_position_embeddings:
            raise ValueError(
                f"input_ids has {seq_len} positions; allowed is 1 to {config.max_position_embeddings} "
                "(max_position_embeddings): no later position has an embedding"
            )
        check_range("input_ids", input_ids, config.vocab_size, " (vocab_size - 1)")
        if token_type_ids is not None:
            check_shape("token_type_ids", token_type_ids, input_ids.shape)
            check_range("token_type_ids", token_type_ids, config.type_vocab_size, " (type_vocab_size - 1)")
        mask = None
        if attention_mask is not None:
            mask = check_mask(attention_mask, batch, seq_len)
            mask = mask[:, None]  # (batch, 1, 1 or seq_len, seq_len): the same mask for every head
            if not mask.is_meta and mask.all():
                mask = None  # a mask that forbids nothing only costs time

        embeddings = self.embeddings(input_ids, token_type_ids)
        last_hidden_state, hidden_states, attentions = self.encoder(
            embeddings, mask, output_hidden_states, output_attentions
        )
        pooler_output = self.pooler(last_hidden_state) if self.pooler is not None else None
        return BertModelOutput(last_hidden_state, pooler_output, hidden_states, attentions)


def initialise_weights(module: nn.Module, initializer_range: float) -> None:
    """Draw Linear and Embedding weights from N(0, initializer_range^2); biases and the padding row become 0.

    LayerNorm stays as PyTorch makes it, weight 1 and bias 0. The draws come from PyTorch's global generator:
    ``torch.manual_seed`` before building a model fixes its weights. Google's code cuts the normal off at two
    standard deviations; the library and this file do not.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=initializer_range)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=initializer_range)
            if part.padding_idx is not None:
                nn.init.zeros_(part.weight[part.padding_idx])


# ----------------------------------------------------------------------------------------------------------
# Pretraining: masked language modelling and next sentence prediction
# ----------------------------------------------------------------------------------------------------------


class PredictionTransform(nn.Module):
    """Linear, activation, LayerNorm: the hidden state made ready to be compared with the word embeddings."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """``(..., hidden_size)`` in and out."""
        return self.LayerNorm(self.activation(self.dense(hidden_states)))


class MLMHead(nn.Module):
    """Scores for every piece of the vocabulary: dot products with the word embeddings, plus a bias a piece.

    The decoder's weight *is* the word embedding table (:class:`BertForPreTraining` ties them). The bias has
    two names in a state dict, ``bias`` and ``decoder.bias``, and is one parameter.

    Source: the released code.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.bias = self.decoder.bias

    def forward(self, hidden_states: Tensor) -> Tensor:
        """``(..., hidden_size)`` to ``(..., vocab_size)``."""
        return self.decoder(self.transform(hidden_states))


class PretrainingHeads(nn.Module):
    """The MLM head reads token states, the NSP head the pooled [CLS]; they share only the encoder."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.predictions = MLMHead(config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)


@dataclass
class BertForPreTrainingOutput:
    """Both sets of logits, and the losses for which labels were given."""

    loss: Tensor | None  # the sum of the losses below that are not None
    prediction_logits: Tensor  # (selected, vocab_size) with labels, else (batch, seq_len, vocab_size)
    seq_relationship_logits: Tensor  # (batch, 2)
    mlm_loss: Tensor | None = None
    nsp_loss: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class BertForPreTraining(nn.Module):
    """BERT with the two heads of its pretraining. Source: the paper, section 3.1 and appendix A.2."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        self.cls = PretrainingHeads(config)
        initialise_weights(self.cls, config.initializer_range)
        self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        mlm_on_all_positions: bool = False,
        **capture: bool,
    ) -> BertForPreTrainingOutput:
        """Predict the selected pieces, and whether the second segment follows the first.

        Only selected positions enter the MLM loss, and scoring a whole vocabulary is the most expensive thing
        that a small BERT does. So, given ``labels``, the head runs on the selected positions alone: the same
        loss, the same gradients, and ``prediction_logits`` of shape ``(selected, vocab_size)``, where row k
        belongs to ``labels[labels != -100][k]``.

        Args:
            input_ids, attention_mask, token_type_ids: as in :class:`BertModel`.
            labels: integers ``(batch, seq_len)``: the original id at selected positions, -100 elsewhere.
            next_sentence_label: integers ``(batch,)``: 0 = the second segment follows, 1 = it does not.
            mlm_on_all_positions: score every position even when labels are given; ``prediction_logits``
                then has the shape ``(batch, seq_len, vocab_size)``, as it has without labels.
            capture: ``output_hidden_states`` and ``output_attentions``, as in :class:`BertModel`.

        The losses are means in nats: ``mlm_loss`` over selected positions (0 when none is selected, where the
        library returns NaN), ``nsp_loss`` over rows, and ``loss`` the sum of those that have labels.
        """
        output = self.bert(input_ids, attention_mask, token_type_ids, **capture)
        states, mlm_loss, nsp_loss = output.last_hidden_state, None, None

        if labels is None:
            prediction_logits = self.cls.predictions(states)
        else:
            check_token_labels(labels, input_ids.shape, self.config.vocab_size)
            selected = (labels.flatten() != IGNORE_INDEX).nonzero().squeeze(1)  # (selected,)
            if mlm_on_all_positions:
                prediction_logits = self.cls.predictions(states)
                selected_logits = prediction_logits.flatten(0, 1).index_select(0, selected)
            else:
                prediction_logits = self.cls.predictions(states.flatten(0, 1).index_select(0, selected))
                selected_logits = prediction_logits
            mlm_loss = mean_cross_entropy(selected_logits, labels.flatten().index_select(0, selected))

        seq_relationship_logits = self.cls.seq_relationship(output.pooler_output)
        if next_sentence_label is not None:
            check_shape("next_sentence_label", next_sentence_label, input_ids.shape[:1])
            check_range("next_sentence_label", next_sentence_label, 2)
            nsp_loss = mean_cross_entropy(seq_relationship_logits, next_sentence_label)

        losses = [loss for loss in (mlm_loss, nsp_loss) if loss is not None]
        return BertForPreTrainingOutput(
            loss=sum(losses) if losses else None,
            prediction_logits=prediction_logits,
            seq_relationship_logits=seq_relationship_logits,
            mlm_loss=mlm_loss,
            nsp_loss=nsp_loss,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


# ----------------------------------------------------------------------------------------------------------
# Fine-tuning: the same encoder, one more Linear layer
# ----------------------------------------------------------------------------------------------------------


@dataclass
class ClassificationOutput:
    """Logits ``(batch, num_labels)`` for rows, or ``(batch, seq_len, num_labels)`` for tokens."""

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class QuestionAnsweringOutput:
    """How well each token would do as first and as last of the answer: ``(batch, seq_len)`` each."""

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
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **capture: bool,
    ) -> ClassificationOutput:
        """As :class:`BertModel`, with ``labels`` ``(batch,)`` from 0 to ``num_labels - 1``.

        The loss is the mean cross-entropy over rows, in nats.
        """
        output = self.bert(input_ids, attention_mask, token_type_ids, **capture)
        logits = self.classifier(self.dropout(output.pooler_output))
        loss = None
        if labels is not None:
            check_shape("labels", labels, input_ids.shape[:1])
            check_range("labels", labels, self.config.num_labels, " (num_labels - 1)")
            loss = mean_cross_entropy(logits, labels)
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
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **capture: bool,
    ) -> ClassificationOutput:
        """As :class:`BertModel`, with ``labels`` ``(batch, seq_len)``; -100 marks tokens that carry no label.

        The loss is the mean over labelled tokens in nats, and 0 when there is none.
        """
        output = self.bert(input_ids, attention_mask, token_type_ids, **capture)
        logits = self.classifier(self.dropout(output.last_hidden_state))
        loss = None
        if labels is not None:
            check_token_labels(labels, input_ids.shape, self.config.num_labels)
            loss = mean_cross_entropy(logits, labels)
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
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        **capture: bool,
    ) -> QuestionAnsweringOutput:
        """As :class:`BertModel`, with ``start_positions`` and ``end_positions``: integers ``(batch,)``.

        They are the first and the last token of each answer. The loss is the mean of the two cross-entropies
        over positions. A position from ``seq_len`` on is an answer that truncation cut away: it is left out.
        """
        output = self.bert(input_ids, attention_mask, token_type_ids, **capture)
        start_logits, end_logits = self.qa_outputs(output.last_hidden_state).unbind(-1)
        loss = None
        if (start_positions is None) != (end_positions is None):
            given = "end_positions" if start_positions is None else "start_positions"
            raise ValueError(f"only {given} is given; allowed is both start and end positions, or neither")
        if start_positions is not None:
            start_loss = span_loss("start_positions", start_logits, start_positions)
            end_loss = span_loss("end_positions", end_logits, end_positions)
            loss = (start_loss + end_loss) / 2
        return QuestionAnsweringOutput(
            loss, start_logits, end_logits, output.hidden_states, output.attentions
        )


def classifier_head(config: BertConfig) -> tuple[nn.Dropout, nn.Linear]:
    """Dropout and a freshly drawn Linear layer from ``hidden_size`` to ``num_labels``."""
    if config.num_labels < 2:
        raise ValueError(
            f"num_labels is {config.num_labels}; allowed is 2 or more: one label leaves nothing to choose"
        )
    dropout_p = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
    classifier = nn.Linear(config.hidden_size, config.num_labels)
    initialise_weights(classifier, config.initializer_range)
    return nn.Dropout(dropout_p), classifier


# ----------------------------------------------------------------------------------------------------------
# Losses
# ----------------------------------------------------------------------------------------------------------


def mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of -log softmax(logits)[label] over the labels that are not -100, in nats; 0 if there are none.

    Args:
        logits: ``(..., classes)``.
        labels: integers of the shape of ``logits`` without its last axis.
    """
    logits, labels = logits.flatten(0, -2), labels.flatten().long()
    total = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum")
    return total / (labels != IGNORE_INDEX).sum().clamp(min=1)


def span_loss(name: str, logits: Tensor, positions: Tensor) -> Tensor:
    """Cross-entropy of ``positions`` ``(batch,)`` under ``logits`` ``(batch, seq_len)``, in nats.

    Positions from ``seq_len`` on are left out.
    """
    batch, seq_len = logits.shape
    check_shape(name, positions, (batch,))
    check_range(name, positions.clamp(max=seq_len - 1), seq_len, ", or more for an answer that was cut away")
    return mean_cross_entropy(logits, positions.masked_fill(positions >= seq_len, IGNORE_INDEX))


# ----------------------------------------------------------------------------------------------------------
# What the model refuses
# ----------------------------------------------------------------------------------------------------------


def check_shape(name: str, tensor: Tensor, expected: tuple[int, ...]) -> None:
    """Segment ids and labels go one to one with the tokens, or with the rows, of ``input_ids``."""
    if tuple(tensor.shape) != tuple(expected):
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}; allowed is {tuple(expected)} to go with input_ids"
        )


def check_range(name: str, values: Tensor, size: int, note: str = "") -> None:
    """``values`` are integers from 0 to ``size - 1``; ``note`` ends the sentence that says so.

    On the meta device a tensor has a shape and no values: there only the dtype is checked.
    """
    if values.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"{name} has dtype {values.dtype}; allowed is torch.int64 or torch.int32")
    if values.is_meta:
        return
    low, high = (int(value) for value in values.aminmax())
    if low < 0 or high >= size:
        raise ValueError(f"{name} holds {low if low < 0 else high}; allowed is 0 to {size - 1}{note}")


def check_token_labels(labels: Tensor, expected: tuple[int, ...], classes: int) -> None:
    """One label for each token: 0 to ``classes - 1``, or -100 to leave the token out of the loss."""
    check_shape("labels", labels, expected)
    classed = labels.masked_fill(labels == IGNORE_INDEX, 0)
    check_range("labels", classed, classes, f", or {IGNORE_INDEX} to leave a token out")


# ----------------------------------------------------------------------------------------------------------
# Weights in and out
# ----------------------------------------------------------------------------------------------------------

HEADS = ("pooler.", "cls.", "classifier.", "qa_outputs.")
TIED = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
OLD_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # constants, nothing learned


class LoadReport(NamedTuple):
    """What :func:`load_weights` did not move: names without the ``bert.`` prefix."""

    missing_heads: list[str]  # in the model, not in the checkpoint: these keep the values that they had
    unused_heads: list[str]  # in the checkpoint, not in the model


def load_weights(
    model: nn.Module, state_dict: Mapping[str, Tensor], *, allow_missing_heads: bool = False
) -> LoadReport:
    """Copy a BERT checkpoint into ``model``, whichever of the usual dialects it is written in.

    Understood: names with or without ``bert.`` in front, ``LayerNorm.gamma``/``beta`` for
    ``weight``/``bias``, tied tensors given once or twice, and the constant buffers of old files. Embeddings
    and encoder must match one to one. Heads (pooler, pretraining heads, classifiers) may be left over in
    the checkpoint; heads that only the model has are an error unless ``allow_missing_heads``. Nothing is
    copied unless everything fits.

    Raises:
        ValueError: listing every missing name, unknown name, wrong shape, broken tie and NaN.
    """
    given, problems = {}, []
    for name, tensor in state_dict.items():
        plain = plain_name(name)
        if plain in given:
            problems.append(f"given twice: {plain}")
        given[plain] = tensor
    for buffer in OLD_BUFFERS:
        given.pop(buffer, None)
    problems += fold_ties(given)
    wanted = {plain_name(name): tensor for name, tensor in model.state_dict().items()}
    fold_ties(wanted)

    report = LoadReport(missing_heads=[], unused_heads=[])
    for name in sorted(wanted.keys() | given.keys()):
        is_head = name.startswith(HEADS)
        if name not in given:
            if is_head:
                report.missing_heads.append(name)
            if not (is_head and allow_missing_heads):
                problems.append(f"missing: {name}")
        elif name not in wanted:
            if is_head:
                report.unused_heads.append(name)
            else:
                problems.append(f"unknown: {name}")
        elif (shape := tuple(given[name].shape)) != (allowed := tuple(wanted[name].shape)):
            problems.append(f"shape of {name}: {shape}, allowed is {allowed}")
        elif not given[name].isfinite().all():
            problems.append(f"not finite: {name}")
    if problems:
        raise ValueError("state_dict does not fit the model\n  " + "\n  ".join(problems))

    with torch.no_grad():
        for name in wanted.keys() & given.keys():
            wanted[name].copy_(given[name])
    return report


def plain_name(name: str) -> str:
    """One spelling for each weight: no ``bert.`` in front, ``weight`` for gamma and ``bias`` for beta."""
    name = name.removeprefix("bert.")
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def fold_ties(tensors: dict[str, Tensor]) -> list[str]:
    """Leave one name for each tied pair in ``tensors``, in place; returns the pairs that differ."""
    problems = []
    for alias, name in TIED.items():
        if alias in tensors:
            tensor = tensors.pop(alias)
            if not torch.equal(tensors.setdefault(name, tensor), tensor):
                problems.append(f"broken tie: {alias} differs from {name}, and is one tensor here")
    return problems


def count_parameters(model: nn.Module) -> int:
    """Number of learned numbers; a tensor that is used in two places, as the tied decoder is, counts once."""
    return sum(parameter.numel() for parameter in model.parameters())
