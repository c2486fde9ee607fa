// The embedded BERT without a kernel: its tokenizer and its forward pass, for the panels of these pages.
//
//   const bert = await CourseBert.load(address)      the weights, fetched once, when a panel is first touched
//   const {ids, tokens} = bert.tokenizer.encode("the [MASK] was robbed")
//   const {states, attentions} = bert.encode(ids)
//   const probabilities = CourseBert.softmax(bert.predict(states.at(-1), 2))
//
// It computes what course_utils/bert/model.py computes; tests/pages/test_panels.py holds the two together to
// 1e-4. A matrix is a Float32Array, row after row; sums are made in double precision.
"use strict";

const CourseBert = (() => {
  // --- Arithmetic

  // rows (n, width) times a weight (size, width) transposed, plus bias (size): (n, size)
  function linear(rows, {weight, bias}, width) {
    const size = bias.length, n = rows.length / width, result = new Float32Array(n * size);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < size; j++) {
        let sum = bias[j];
        for (let k = 0; k < width; k++) sum += rows[i * width + k] * weight[j * width + k];
        result[i * size + j] = sum;
      }
    return result;
  }

  function layerNorm(rows, {weight, bias}, epsilon) {
    const width = weight.length, result = new Float32Array(rows.length);
    for (let start = 0; start < rows.length; start += width) {
      let mean = 0, variance = 0;
      for (let k = 0; k < width; k++) mean += rows[start + k] / width;
      for (let k = 0; k < width; k++) variance += (rows[start + k] - mean) ** 2 / width;
      const scale = 1 / Math.sqrt(variance + epsilon);
      for (let k = 0; k < width; k++)
        result[start + k] = (rows[start + k] - mean) * scale * weight[k] + bias[k];
    }
    return result;
  }

  // The error function to 1.5e-7: Abramowitz and Stegun, formula 7.1.26.
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const series = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]
      .reduce((sum, factor) => (sum + factor) * t, 0);
    return Math.sign(x) * (1 - series * Math.exp(-x * x));
  }

  const gelu = x => 0.5 * x * (1 + erf(x / Math.SQRT2));
  const add = (one, other, times = 1) => one.map((value, k) => times * value + other[k]);

  // Scores of -Infinity get 0; where nothing may be attended to, the mean of nothing is NaN.
  function softmax(scores) {
    const largest = Math.max(...scores);
    const powers = Array.from(scores, score => Math.exp(score - largest));
    const sum = powers.reduce((one, other) => one + other, 0);
    return powers.map(power => power / sum);
  }

  // The places of the k largest values, the largest first.
  const largest = (values, k) =>
    Array.from(values.keys()).sort((one, other) => values[other] - values[one]).slice(0, k);

  function cosine(one, other) {
    let product = 0, first = 0, second = 0;
    for (let k = 0; k < one.length; k++) {
      product += one[k] * other[k];
      first += one[k] ** 2;
      second += other[k] ** 2;
    }
    return product / Math.sqrt(first * second);
  }

  // How far apart the rows are: their mean distance from their mean, as a share of their mean length.
  function apart(rows, width) {
    const n = rows.length / width, mean = new Float64Array(width);
    rows.forEach((value, i) => { mean[i % width] += value / n; });
    let distances = 0, lengths = 0;
    for (let start = 0; start < rows.length; start += width) {
      const row = rows.subarray(start, start + width);
      distances += Math.hypot(...row.map((value, k) => value - mean[k]));
      lengths += Math.hypot(...row);
    }
    return distances / lengths;
  }

  // --- From text to ids: clean, split into words, cover each with the longest pieces

  const SPECIAL = /(\[(?:PAD|UNK|CLS|SEP|MASK)\])/;
  const DROPPED = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\ufffd]/gu;
  const CHINESE = /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;
  const WORDS = /[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~]+/gu;
  const LONGEST_WORD = 100;

  class Tokenizer {
    constructor(vocab) {
      this.vocab = vocab;
      this.ids = new Map(vocab.map((piece, id) => [piece, id]));
    }

    // The pieces of one clean word; [UNK] where some rest has none.
    pieces(word) {
      const letters = Array.from(word), found = [];
      if (letters.length > LONGEST_WORD) return ["[UNK]"];
      for (let start = 0; start < letters.length;) {
        let end = letters.length, piece;
        for (; end > start; end--) {
          piece = (start ? "##" : "") + letters.slice(start, end).join("");
          if (this.ids.has(piece)) break;
        }
        if (end === start) return ["[UNK]"];
        found.push(piece);
        start = end;
      }
      return found;
    }

    // Ids and pieces of a text between [CLS] and [SEP], and the words that are no piece of the vocabulary.
    encode(text) {
      const tokens = ["[CLS]"], unknown = [];
      for (const part of text.split(SPECIAL)) {
        if (SPECIAL.test(part)) tokens.push(part);
        else {
          const clean = part.replace(DROPPED, "").replace(CHINESE, " $& ").normalize("NFD")
            .replace(/\p{Mn}/gu, "").toLowerCase();
          for (const word of clean.match(WORDS) ?? []) {
            const pieces = this.pieces(word);
            if (pieces.length > 1 || pieces[0] === "[UNK]") unknown.push(word);
            tokens.push(...pieces);
          }
        }
      }
      tokens.push("[SEP]");
      return {tokens, unknown, ids: tokens.map(token => this.ids.get(token))};
    }
  }

  // --- The model

  class Bert {
    constructor({config, vocab, tensors, data}) {
      this.config = config;
      this.tokenizer = new Tokenizer(vocab);
      const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
      this.tensors = new Map();
      for (const [name, start, length] of tensors)
        this.tensors.set(name, new Float32Array(bytes.buffer, 4 * start, length));
    }

    // The weight and the bias of one part, by its name in the state dict.
    part(name) {
      return {weight: this.tensors.get(`${name}.weight`), bias: this.tensors.get(`${name}.bias`)};
    }

    norm(rows, name) {
      return layerNorm(rows, this.part(name), this.config.layer_norm_eps);
    }

    // Words, positions and segment 0, added and normalised: (seq_len, hidden_size)
    embed(ids) {
      const width = this.config.hidden_size, sum = new Float32Array(ids.length * width);
      const table = name => this.tensors.get(`bert.embeddings.${name}_embeddings.weight`);
      const [word, position, segment] = ["word", "position", "token_type"].map(table);
      ids.forEach((id, i) => {
        for (let k = 0; k < width; k++)
          sum[i * width + k] = word[id * width + k] + segment[k] + position[i * width + k];
      });
      return this.norm(sum, "bert.embeddings.LayerNorm");
    }

    // One sublayer of attention: the contexts (seq_len, hidden_size); for each head the weights, row i for
    // the token that attends, and the lengths of the values that they mix.
    attend(rows, layer, mask) {
      const width = this.config.hidden_size, heads = this.config.num_attention_heads;
      const size = width / heads, n = rows.length / width;
      const project = name => linear(rows, this.part(`${layer}.attention.self.${name}`), width);
      const [query, key, value] = ["query", "key", "value"].map(project);
      const context = new Float32Array(rows.length), weights = [], lengths = [];
      for (let first = 0; first < width; first += size) {
        const table = [];
        for (let i = 0; i < n; i++) {
          const scores = new Array(n);
          for (let j = 0; j < n; j++) {
            let product = 0;
            for (let k = first; k < first + size; k++) product += query[i * width + k] * key[j * width + k];
            scores[j] = mask && !mask[i][j] ? -Infinity : product / Math.sqrt(size);
          }
          table.push(softmax(scores));
          for (let k = first; k < first + size; k++) {
            let sum = 0;
            for (let j = 0; j < n; j++) sum += table[i][j] * value[j * width + k];
            context[i * width + k] = sum;
          }
        }
        weights.push(table);
        lengths.push(Array.from({length: n}, (_, j) =>
          Math.hypot(...value.subarray(j * width + first, j * width + first + size))));
      }
      return {context, weights, lengths};
    }

    // All hidden states, the embeddings first, and of each layer the weights and lengths of `attend`. The
    // residuals of attention and of the feed-forward network are multiplied by the two numbers of `keep`.
    encode(ids, mask = null, keep = [1, 1]) {
      const {hidden_size: width, intermediate_size: wide, num_hidden_layers: depth} = this.config;
      const states = [this.embed(ids)], attentions = [], lengths = [];
      for (let i = 0; i < depth; i++) {
        const layer = `bert.encoder.layer.${i}`, before = states[i];
        const mixed = this.attend(before, layer, mask);
        const attended = linear(mixed.context, this.part(`${layer}.attention.output.dense`), width);
        const middle = this.norm(add(before, attended, keep[0]), `${layer}.attention.output.LayerNorm`);
        const inner = linear(middle, this.part(`${layer}.intermediate.dense`), width).map(gelu);
        const outer = linear(inner, this.part(`${layer}.output.dense`), wide);
        states.push(this.norm(add(middle, outer, keep[1]), `${layer}.output.LayerNorm`));
        attentions.push(mixed.weights);
        lengths.push(mixed.lengths);
      }
      return {states, attentions, lengths};
    }

    // The scores of all pieces at one place of the last hidden states.
    predict(rows, place) {
      const width = this.config.hidden_size, head = "cls.predictions";
      const row = rows.slice(place * width, (place + 1) * width);
      const transformed = linear(row, this.part(`${head}.transform.dense`), width).map(gelu);
      const normed = this.norm(transformed, `${head}.transform.LayerNorm`);
      const decoder = {
        weight: this.tensors.get("bert.embeddings.word_embeddings.weight"), // tied
        bias: this.tensors.get(`${head}.bias`),
      };
      return linear(normed, decoder, width);
    }
  }

  // The weights lie in a script, not in a binary file: a page that is opened from a disk may run scripts, but
  // may not fetch files.
  let loading = null;
  const load = address => loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    window.courseWeights = weights => resolve(new Bert(weights));
    script.src = address;
    script.onerror = () => { loading = null; reject(new Error("the weights cannot be loaded")); };
    document.head.append(script);
  });

  return {load, softmax, largest, cosine, apart};
})();
