"""The encoder of today: BERT with six changes, each of which can be taken back by one setting.

    input_ids -> ModernEmbeddings -> ModernLayer x num_hidden_layers -> final_norm -> MLM head

Read it beside `bert/model.py`, of which it is the difference:

    1. pre-norm       LayerNorm stands before each sublayer, not after the sum         `pre_norm`
    2. rotary         positions turn queries and keys; no table of positions           `rotary`
    3. GeGLU          the feed-forward network multiplies by a gate                    `gated`
    4. no biases      neither in Linear layers nor in LayerNorm                        `biases`
    5. local layers   two layers of three see only their neighbourhood                 `global_every`
    6. no padding     sequences are laid end to end                                    `forward_packed`

With all six the model is ModernBERT (Warner et al. 2024, arXiv 2412.13663), equal to the library's
`ModernBertModel`; with none it is our `BertModel` on one segment. Attribute names spell the library's
state-dict names. Segments, the pooler and next sentence prediction are gone in either case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.bert.inputs import check_labels, check_range, check_sizes
from course_utils.bert.losses import mean_cross_entropy
from course_utils.bert.model import BertConfig
from course_utils.bert.parameters import TiedModule, initialise_weights
from course_utils.checks import IGNORE_INDEX, check_one_of, refusal
from course_utils.hints import Count, Ids, Natural, Positive, hold_to_hints
from course_utils.masks import check_mask

# ---- Configuration -------------------------------------------------------------------------------


@dataclass
class ModernBertConfig:
    """The numbers that fix a modern encoder; defaults are ModernBERT-base (the paper, table 4)."""

    vocab_size: Count = 50368
    hidden_size: Count = 768
    intermediate_size: Count = 1152
    num_hidden_layers: Count = 22
    num_attention_heads: Count = 12
    max_position_embeddings: Count = 8192  # with a table of positions: its length
    norm_eps: Positive = 1e-5
    initializer_range: Positive = 0.02
    pad_token_id: int | None = 50283
    # The changes. The other value is BERT's.
    pre_norm: bool = True
    rotary: bool = True
    gated: bool = True
    biases: bool = False
    global_every: Count = 3  # layers 0, 3, 6, ... see the whole sequence; 1: every layer does
    # What local layers and rotary positions need.
    local_attention: Count = 128  # a local layer sees half of this to the left and half to the right
    global_rope_theta: Positive = 160_000.0
    local_rope_theta: Positive = 10_000.0

    def __post_init__(self) -> None:
        check_sizes(self)
        head_size = self.hidden_size // self.num_attention_heads
        if self.rotary and head_size % 2:
            raise refusal("hidden_size", "an even number for each head", head_size, "pairs are rotated")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModernBertConfig":
        """Read a library `config.json`, old or new; keys that change no number are ignored."""
        check_settings(values)
        own = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        own["biases"] = values.get("attention_bias", False)
        own["global_every"] = values.get("global_attn_every_n_layers", cls.global_every)
        if layer_types := values.get("layer_types"):
            globals_at = [i for i, kind in enumerate(layer_types) if kind == "full_attention"]
            own["global_every"] = globals_at[1] if len(globals_at) > 1 else len(layer_types)
        for kind, name in (
            ("full_attention", "global_rope_theta"),
            ("sliding_attention", "local_rope_theta"),
        ):
            theta = (values.get("rope_parameters") or {}).get(kind, {}).get("rope_theta", values.get(name))
            if theta is not None:
                own[name] = theta
        config = cls(**own)
        if layer_types and [config.is_global(i) for i in range(len(layer_types))] != [
            kind == "full_attention" for kind in layer_types
        ]:
            raise refusal("layer_types", "a global layer first and then at every n-th", layer_types)
        return config

    def is_global(self, layer: Natural) -> bool:
        """Whether this layer, counted from 0, sees the whole sequence."""
        return layer % self.global_every == 0


# ---- From ids to vectors -------------------------------------------------------------------------


class ModernEmbeddings(nn.Module):
    """The word table, then LayerNorm. BERT: the sum of three tables."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.position_embeddings = None
        if not config.rotary:
            self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.biases)

    def forward(self, input_ids: Tensor, positions: Ids) -> Tensor:
        """Ids `(..., seq_len)` and positions `(seq_len,)` to `(..., seq_len, hidden_size)`."""
        embeddings = self.tok_embeddings(input_ids)
        if self.position_embeddings is not None:
            embeddings = embeddings + self.position_embeddings(positions)
        return self.norm(embeddings)


# ---- Attention -----------------------------------------------------------------------------------


def rotate(states: Tensor, positions: Ids, theta: Positive) -> Tensor:
    """Turn each pair of numbers of a query or key by an angle that grows with its position.

    Number k of the first half and number k of the second half are a point of a plane. It is turned by
    `position * theta ** (-2k / head_size)`: fast for the first pairs, slowly for the last. The dot
    product of two turned vectors depends on the distance of their positions alone.

    Args:
        states: `(..., seq_len, head_size)`.
        positions: `(seq_len,)`.
        theta: the base of the angles; larger, for longer sequences.

    Source: Su et al. 2021 (arXiv 2104.09864), section 3.2.2; there neighbours are paired, here halves, as
    in most code that runs today.
    """
    half = states.shape[-1] // 2
    speeds = theta ** (-torch.arange(half, device=states.device) / half)  # (half,)
    angles = positions[:, None] * speeds  # (seq_len, half)
    dtype = torch.result_type(states, 1.0)  # the states' own, unless integers
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    first, second = states.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def neighbourhood(seq_len: Count, local_attention: Count) -> Tensor:
    """Who may attend to whom in a local layer: bool `(seq_len, seq_len)`, a band around the diagonal.

    Token i sees tokens i - w to i + w, where w is half of `local_attention`.
    """
    positions = torch.arange(seq_len)
    return (positions[:, None] - positions).abs() <= local_attention // 2


def attention_in_blocks(query: Tensor, key: Tensor, value: Tensor, reach: Count) -> Tensor:
    """Attention to at most `reach` positions away, without the products that the mask would throw away.

    The queries are cut into blocks of `reach`; each block looks at the keys of its own block and of the two
    beside it, for no key further off is within reach. The work grows with seq_len, not with its square.

    Args:
        query, key, value: `(..., seq_len, head_size)`.
        reach: how far a query sees to the left and to the right.
    """
    seq_len = query.shape[-2]
    blocks = -(-seq_len // reach)
    fill = blocks * reach - seq_len
    queries = F.pad(query, (0, 0, 0, fill)).unflatten(-2, (blocks, reach))
    beside = [  # (..., blocks, 3 * reach, head_size)
        F.pad(states, (0, 0, reach, reach + fill)).unfold(-2, 3 * reach, reach).transpose(-1, -2)
        for states in (key, value)
    ]
    at_query = torch.arange(blocks * reach, device=query.device).view(blocks, reach, 1)
    first = torch.arange(blocks, device=query.device).view(blocks, 1, 1) * reach - reach
    at_key = first + torch.arange(3 * reach, device=query.device)
    mask = ((at_query - at_key).abs() <= reach) & (at_key >= 0) & (at_key < seq_len)
    context = F.scaled_dot_product_attention(queries, *beside, attn_mask=mask)
    return context.flatten(-3, -2)[..., :seq_len, :]


class ModernAttention(nn.Module):
    """Self-attention whose queries and keys are turned by their positions."""

    def __init__(self, config: ModernBertConfig, layer: Natural) -> None:
        super().__init__()
        self.num_attention_heads = config.num_attention_heads
        is_global = config.is_global(layer)
        self.local_attention = None if is_global else config.local_attention
        self.theta = None
        if config.rotary:
            self.theta = config.global_rope_theta if is_global else config.local_rope_theta
        # BERT has three Linear layers for this; one that is three times as wide does the same in one product.
        self.Wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.biases)
        self.Wo = nn.Linear(config.hidden_size, config.hidden_size, bias=config.biases)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden states `(batch, seq_len, hidden_size)` in and out."""
        return self.Wo(self.mix(self.Wqkv(hidden_states), mask))

    def forward_packed(self, hidden_states: Tensor, lengths: list[int]) -> Tensor:
        """`(total_len, hidden_size)` in and out: no token attends beyond its own sequence.

        The two matrices see all tokens of all sequences at once; only the attention in between works
        on one sequence at a time.
        """
        sequences = self.Wqkv(hidden_states).split(lengths)
        mixed = [self.mix(sequence[None])[0] for sequence in sequences]
        return self.Wo(torch.cat(mixed))

    def mix(self, qkv: Tensor, mask: Tensor | None = None) -> Tensor:
        """Queries, keys and values `(batch, seq_len, 3 * hidden_size)` to `(batch, seq_len, hidden_size)`."""
        seq_len = qkv.shape[1]
        query, key, value = (  # (batch, heads, seq_len, head_size) each
            states.unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)
            for states in qkv.chunk(3, dim=-1)
        )
        if self.theta is not None:
            positions = torch.arange(seq_len, device=qkv.device)
            query, key = rotate(query, positions, self.theta), rotate(key, positions, self.theta)
        if self.local_attention is None:
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        elif mask is None and seq_len > 4 * self.local_attention > 4:  # below, blocks save nothing
            context = attention_in_blocks(query, key, value, self.local_attention // 2)
        else:
            near = neighbourhood(seq_len, self.local_attention).to(qkv.device)
            near = near if mask is None else mask & near
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=near)
        return context.transpose(1, 2).flatten(2)


# ---- The layer -----------------------------------------------------------------------------------


class ModernFeedForward(nn.Module):
    """The feed-forward network with a gate: half of the wide layer is multiplied with the other half.

    Source: Shazeer 2020 (arXiv 2002.05202), equation 5, GEGLU; without biases.
    """

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.gated = config.gated
        hidden, inner = config.hidden_size, config.intermediate_size
        wide = inner * (2 if config.gated else 1)
        self.Wi = nn.Linear(hidden, wide, bias=config.biases)
        self.Wo = nn.Linear(inner, hidden, bias=config.biases)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`(..., hidden_size)` in and out."""
        wide = self.Wi(hidden_states)
        if not self.gated:
            return self.Wo(F.gelu(wide))
        states, gate = wide.chunk(2, dim=-1)
        return self.Wo(F.gelu(states) * gate)


class ModernLayer(nn.Module):
    """Attention, then the feed-forward network, each added to what came in."""

    def __init__(self, config: ModernBertConfig, layer: Natural) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        self.attn_norm: nn.Module = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.biases)
        if config.pre_norm and layer == 0:
            self.attn_norm = nn.Identity()  # the embeddings end in a LayerNorm already
        self.attn = ModernAttention(config, layer)
        self.mlp_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.biases)
        self.mlp = ModernFeedForward(config)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, lengths: list[int] | None = None
    ) -> Tensor:
        """`(batch, seq_len, hidden_size)` in and out; with `lengths`, packed `(total_len, hidden_size)`."""
        if not self.pre_norm:  # BERT
            hidden_states = self.attn_norm(hidden_states + self.attend(hidden_states, mask, lengths))
            return self.mlp_norm(hidden_states + self.mlp(hidden_states))
        hidden_states = hidden_states + self.attend(self.attn_norm(hidden_states), mask, lengths)
        return hidden_states + self.mlp(self.mlp_norm(hidden_states))

    def attend(self, states: Tensor, mask: Tensor | None, lengths: list[int] | None) -> Tensor:
        """The attention of a padded batch, or of sequences laid end to end."""
        return self.attn(states, mask) if lengths is None else self.attn.forward_packed(states, lengths)


# ---- The model -----------------------------------------------------------------------------------


class ModernBertModel(nn.Module):
    """Embeddings, layers and, with pre-norm, one last LayerNorm."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = ModernEmbeddings(config)
        self.layers = nn.ModuleList(ModernLayer(config, i) for i in range(config.num_hidden_layers))
        self.final_norm: nn.Module = nn.Identity()
        if config.pre_norm:  # the sum of all layers was never normalised
            self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.biases)
        initialise_weights(self, config.initializer_range)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """A padded batch.

        Args:
            input_ids: integers `(batch, seq_len)`.
            attention_mask: as in `BertModel`. None: nothing is forbidden.

        Returns:
            the last hidden states `(batch, seq_len, hidden_size)`.
        """
        mask = check_modern_inputs(self.config, input_ids, attention_mask)
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        hidden_states = self.embeddings(input_ids, positions)
        for layer in self.layers:
            hidden_states = layer(hidden_states, mask)
        return self.final_norm(hidden_states)

    def forward_packed(self, input_ids: Tensor, lengths: list[int]) -> Tensor:
        """Sequences laid end to end, without padding: what `forward` gives at their real tokens.

        Args:
            input_ids: integers `(total_len,)`.
            lengths: how many tokens each sequence has; they add up to `total_len`.

        Returns:
            the last hidden states `(total_len, hidden_size)`.
        """
        check_packed(self.config, input_ids, lengths)
        positions = torch.cat([torch.arange(length, device=input_ids.device) for length in lengths])
        hidden_states = self.embeddings(input_ids, positions)
        for layer in self.layers:
            hidden_states = layer(hidden_states, lengths=lengths)
        return self.final_norm(hidden_states)


def matmul_flops(config: ModernBertConfig, lengths: list[int]) -> int:
    """FLOPs of all matrix products of a forward pass over sequences of these lengths, heads left out.

    A product of an (n, a) with an (a, b) matrix is n * a * b multiplications and as many additions. Local
    layers are counted by the pairs that they may see.
    """
    hidden, wide = config.hidden_size, config.intermediate_size
    projections = 3 * hidden * hidden + hidden * hidden  # Wqkv, Wo
    feed_forward = (3 if config.gated else 2) * hidden * wide  # Wi is twice as wide with a gate
    total = 0
    for layer in range(config.num_hidden_layers):
        for seq_len in lengths:
            reach = seq_len - 1
            if not config.is_global(layer):
                reach = min(config.local_attention // 2, reach)
            pairs = seq_len * (2 * reach + 1) - reach * (reach + 1)
            total += seq_len * (projections + feed_forward) + 2 * pairs * hidden  # scores, and the mean
    return 2 * total


def pack(input_ids: Ids, attention_mask: Tensor) -> tuple[Tensor, list[int]]:
    """A right-padded batch `(batch, seq_len)` as `(total_len,)` ids and the lengths of its sequences."""
    real = check_mask(attention_mask, *input_ids.shape)[:, 0]
    lengths = real.sum(dim=1)
    if not real.equal(torch.arange(real.shape[1], device=real.device) < lengths[:, None]):
        raise refusal("attention_mask", "padding at the right end of each row", "padding elsewhere")
    return input_ids[real], lengths.tolist()


def check_settings(values: Mapping[str, Any]) -> None:
    """A library's settings describe this model: its GELU, no dropout, biases everywhere or nowhere."""
    biases = values.get("attention_bias", False)
    fixed = {
        "model_type": "modernbert",
        "hidden_activation": "gelu",
        "classifier_activation": "gelu",
        **dict.fromkeys(("attention_dropout", "embedding_dropout", "mlp_dropout"), 0.0),
        **dict.fromkeys(("mlp_bias", "norm_bias", "classifier_bias"), biases),
        "decoder_bias": True,
        "tie_word_embeddings": True,
    }
    for key, expected in fixed.items():
        if values.get(key, expected) != expected:
            raise refusal(key, repr(expected), repr(values[key]), "no other modern BERT is built here")
    for kind, rope in (values.get("rope_parameters") or {}).items():
        if rope.get("rope_type", "default") != "default":
            raise refusal(f"rope_parameters[{kind!r}]", "rope_type 'default'", repr(rope["rope_type"]))


def check_modern_inputs(
    config: ModernBertConfig, input_ids: Tensor, attention_mask: Tensor | None
) -> Tensor | None:
    """Refuse what the model cannot read; the mask as the layers want it, bool `(batch, 1, 1 or q, k)`."""
    if input_ids.dim() != 2 or input_ids.numel() == 0:
        raise refusal("input_ids", "a shape (batch, seq_len), both at least 1", tuple(input_ids.shape))
    check_length(config, input_ids.shape[1])
    check_range("input_ids", input_ids, config.vocab_size, " (vocab_size - 1)")
    if attention_mask is None:
        return None
    return check_mask(attention_mask, *input_ids.shape)[:, None]


def check_packed(config: ModernBertConfig, input_ids: Tensor, lengths: list[int]) -> None:
    """The lengths are those of sequences, and together as long as `input_ids`."""
    if input_ids.dim() != 1 or input_ids.numel() == 0:
        raise refusal("input_ids", "a shape (total_len,), at least 1", tuple(input_ids.shape))
    if min(lengths, default=0) < 1 or sum(lengths) != len(input_ids):
        expected = f"at least 1 each and {len(input_ids)} together, as many as input_ids"
        raise refusal("lengths", expected, lengths)
    check_length(config, max(lengths))
    check_range("input_ids", input_ids, config.vocab_size, " (vocab_size - 1)")


def check_length(config: ModernBertConfig, seq_len: int) -> None:
    """A table of positions ends; rotary positions do not."""
    if not config.rotary and seq_len > config.max_position_embeddings:
        allowed = f"1 to {config.max_position_embeddings} positions (max_position_embeddings)"
        raise refusal("input_ids", allowed, seq_len, "no later position has an embedding")


# ---- Masked language modelling -------------------------------------------------------------------


class ModernPredictionHead(nn.Module):
    """Linear, GELU, LayerNorm, as in BERT."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.biases)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.biases)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`(..., hidden_size)` in and out."""
        return self.norm(F.gelu(self.dense(hidden_states)))


class ModernBertForMaskedLM(TiedModule):
    """The model with the head of masked language modelling, its only task."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.config = config
        self.model = ModernBertModel(config)
        self.head = ModernPredictionHead(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)  # its bias stays, in any case
        initialise_weights(self.head, config.initializer_range)
        nn.init.zeros_(self.decoder.bias)
        self.tie_weights()

    def tie_weights(self) -> None:
        """The decoder's weight is the word table."""
        self.decoder.weight = self.model.embeddings.tok_embeddings.weight

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Scores for every piece at every position: `(batch, seq_len, vocab_size)`."""
        return self.decoder(self.head(self.model(input_ids, attention_mask)))

    def loss(self, input_ids: Tensor, attention_mask: Tensor | None, labels: Tensor) -> Tensor:
        """The mean cross-entropy, in nats, where the label is not -100; the head runs there alone."""
        check_labels("labels", labels, (*input_ids.shape, self.config.vocab_size))
        selected = labels != IGNORE_INDEX
        states = self.model(input_ids, attention_mask)[selected]
        return mean_cross_entropy(self.decoder(self.head(states)), labels[selected])


# ---- From BERT -----------------------------------------------------------------------------------


def as_bert(config: BertConfig) -> ModernBertConfig:
    """The configuration with none of the six changes: the sizes of a BERT, and its block."""
    check_one_of("hidden_act", config.hidden_act, ("gelu",))
    same = {field.name for field in fields(ModernBertConfig)} & {field.name for field in fields(config)}
    return ModernBertConfig(
        **{name: getattr(config, name) for name in same},
        norm_eps=config.layer_norm_eps,
        pre_norm=False,
        rotary=False,
        gated=False,
        biases=True,
        global_every=1,
    )


def weights_of_bert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of our `BertModel` under the names of `ModernBertModel` with the settings of `as_bert`.

    Every token is of segment 0, so its vector joins the table of positions. The pooler is left out.
    """
    embeddings = "embeddings."
    weights = {
        "embeddings.tok_embeddings.weight": state_dict[embeddings + "word_embeddings.weight"],
        "embeddings.position_embeddings.weight": state_dict[embeddings + "position_embeddings.weight"]
        + state_dict[embeddings + "token_type_embeddings.weight"][0],
    }
    for kind in ("weight", "bias"):
        weights[f"embeddings.norm.{kind}"] = state_dict[f"embeddings.LayerNorm.{kind}"]
        for name in state_dict:
            if not (name.startswith("encoder.layer.") and name.endswith(f"self.query.{kind}")):
                continue
            old = name.removesuffix(f"attention.self.query.{kind}")
            new = old.replace("encoder.layer.", "layers.")
            parts = [state_dict[f"{old}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            weights[f"{new}attn.Wqkv.{kind}"] = torch.cat(parts)
            for theirs, ours in SUBLAYERS.items():
                weights[f"{new}{ours}.{kind}"] = state_dict[f"{old}{theirs}.{kind}"]
    return weights


SUBLAYERS = {
    "attention.output.dense": "attn.Wo",
    "attention.output.LayerNorm": "attn_norm",
    "intermediate.dense": "mlp.Wi",
    "output.dense": "mlp.Wo",
    "output.LayerNorm": "mlp_norm",
}

hold_to_hints(globals())
