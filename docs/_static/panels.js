// The panels of these pages: what course_utils/lessons/*/panel.py shows in JupyterLab, here without a kernel.
//
// A page holds <section class="live-panel" data-panel="..." data-weights="..."> with the first view as the
// course drew it, an empty line for what is said aloud, and the panel's data as JSON. Controls are added to it
// here. The weights come when a reader first touches a panel; until then the first view stands.
"use strict";

const CoursePanels = (() => {
  // --- Elements

  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  let named = 0;
  function labelled(text, control) {
    control.id = `live-control-${++named}`;
    return h("div", {class: "live-row"}, h("label", {for: control.id}, text), control);
  }

  const field = (value, list) => h("input", {type: "text", value, maxlength: 2000, spellcheck: "false",
    autocomplete: "off", ...(list ? {list} : {})});

  // A slider with its value beside it; `name` says a value in words.
  function slider(text, {min, max, step = 1, value, name = String}) {
    const control = h("input", {type: "range", min, max, step, value});
    const row = labelled(text, control), shown = h("output", {for: control.id}, name(value));
    const say = () => {
      shown.textContent = name(control.value);
      control.setAttribute("aria-valuetext", name(control.value));
    };
    control.addEventListener("input", say);
    say();
    row.append(shown);
    return {control, row};
  }

  // One of a few, as buttons that a screen reader knows as radio buttons.
  function choice(text, options, changed) {
    const group = `live-choice-${++named}`;
    const set = h("fieldset", {class: "live-row"}, h("legend", {}, text));
    options.forEach((option, i) => {
      const button = h("input", {type: "radio", name: group, value: i, ...(i ? {} : {checked: ""})});
      button.addEventListener("change", () => changed(i));
      set.append(h("label", {}, button, option));
    });
    return set;
  }

  function table(heads, rows, caption) {
    const head = h("tr", {}, ...heads.map(text => h("th", {scope: "col"}, text)));
    const body = rows.map(([first, ...cells]) =>
      h("tr", {}, h("th", {scope: "row"}, first), ...cells.map(cell => h("td", {}, cell))));
    return h("div", {class: "live-wide"},
      h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, ...body)));
  }

  const percent = share => `${Math.round(100 * share)}%`;
  const bar = share => h("span", {class: "live-bar", style: `width:${(5 * share).toFixed(3)}em`});
  const guess = (piece, share) => h("span", {}, `${piece} ${percent(share)}`, bar(share));

  // --- What all panels share

  class Refusal extends Error {}

  function read(bert, text) {
    if (!text.trim()) throw new Refusal("Type a sentence first.");
    const encoding = bert.tokenizer.encode(text), limit = bert.config.max_position_embeddings;
    if (encoding.ids.length > limit)
      throw new Refusal(`This sentence has ${encoding.ids.length} pieces; the model reads up to ${limit}.`);
    return encoding;
  }

  // The words that the model has never met as such: it reads their letters.
  function foreign(unknown) {
    if (!unknown.length) return [];
    const words = h("span", {});
    unknown.forEach((word, i) => words.append(i ? ", " : "", h("mark", {}, word)));
    const end = unknown.length > 1 ? " are no words of the toy language: the model sees only their pieces."
      : " is no word of the toy language: the model sees only its pieces.";
    return [h("p", {class: "live-foreign"}, words, end)];
  }

  // --- The panels: each takes its data and `changed`, and returns its controls and what draws the view,
  // `draw(bert)`: the elements of the view, and the sentence to be said.

  function fillBlank({text}, changed) {
    const sentence = field(text);
    const guesses = slider("Guesses", {min: 1, max: 10, value: 3});
    for (const control of [sentence, guesses.control]) control.addEventListener("input", changed);
    function draw(bert) {
      const {tokens, ids, unknown} = read(bert, sentence.value);
      const blanks = [...tokens.keys()].filter(i => tokens[i] === "[MASK]");
      if (!blanks.length)
        throw new Refusal("Write [MASK] where the model shall guess, for example: the [MASK] was robbed yesterday");
      const last = bert.encode(ids).states.at(-1), k = Number(guesses.control.value), said = [];
      const rows = blanks.map((place, i) => {
        const chances = CourseBert.softmax(bert.predict(last, place));
        const best = CourseBert.largest(chances, k);
        said.push(`Blank ${i + 1}: ${best.map(id => `${bert.tokenizer.vocab[id]} ${percent(chances[id])}`).join(", ")}.`);
        return [`blank ${i + 1}`, ...best.map(id => guess(bert.tokenizer.vocab[id], chances[id]))];
      });
      const heads = ["", ...Array.from({length: k}, (_, i) => `guess ${i + 1}`)];
      const caption = "The model's guesses, the most probable first";
      return {view: [table(heads, rows, caption), ...foreign(unknown)], said: said.join(" ")};
    }
    return {controls: [labelled("Sentence", sentence), guesses.row], draw};
  }

  function attention({text, layer, head, token}, changed) {
    const sentence = field(text);
    let measure = 0, chosen = {layer, head, token}, known = null;
    sentence.addEventListener("input", () => { known = null; changed(); });
    const measures = choice("A line is as wide as", ["the weight", "weight × |value|"],
      which => { measure = which; changed(); });
    const rows = bert => { // of the chosen measure: [layer][head][i][j]
      const {attentions, lengths} = known.output;
      if (!measure) return attentions;
      return attentions.map((heads, l) => heads.map((table, k) =>
        table.map(row => row.map((weight, j) => weight * lengths[l][k][j]))));
    };

    function thumbnail(weights, l, k) {
      const n = weights.length, largest = Math.max(...weights.flat());
      const picture = h("canvas", {width: n, height: n, "aria-hidden": "true"});
      const pen = picture.getContext("2d");
      pen.fillStyle = getComputedStyle(document.body).getPropertyValue("--color-brand-primary");
      weights.forEach((row, i) => row.forEach((weight, j) => {
        pen.globalAlpha = weight / largest;
        pen.fillRect(j, i, 1, 1);
      }));
      const pressed = l === chosen.layer && k === chosen.head;
      return h("button", {type: "button", class: "live-thumbnail", "aria-pressed": pressed,
        "data-key": `head ${l} ${k}`, "aria-label": `layer ${l + 1}, head ${k + 1}`,
        title: `layer ${l + 1}, head ${k + 1}`,
        onclick: () => { Object.assign(chosen, {layer: l, head: k}); changed(); }}, picture);
    }

    // Lines from the chosen token on the left to all on the right; the others' are faint.
    function lines(weights) {
      const n = weights.length, largest = Math.max(...weights.flat());
      const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg");
      for (const [name, value] of Object.entries({viewBox: `0 0 100 ${n}`, preserveAspectRatio: "none",
        "aria-hidden": "true", style: `height:${2 * n}rem`})) svg.setAttribute(name, value);
      const order = [...weights.keys()].sort(i => i === chosen.token ? 1 : -1);
      for (const i of order)
        weights[i].forEach((weight, j) => {
          const line = document.createElementNS(space, "line"), own = i === chosen.token;
          const share = weight / largest;
          if (share < 0.01) return;
          for (const [name, value] of Object.entries({x1: 0, y1: i + 0.5, x2: 100, y2: j + 0.5,
            "stroke-width": (0.5 + 8 * share).toFixed(2), "stroke-opacity": own ? 0.85 : 0.08,
            "vector-effect": "non-scaling-stroke"})) line.setAttribute(name, value);
          svg.append(line);
        });
      return svg;
    }

    function draw(bert) {
      if (!known) {
        const encoding = read(bert, sentence.value);
        known = {...encoding, output: bert.encode(encoding.ids)};
        chosen.token = Math.min(chosen.token, known.tokens.length - 1);
      }
      const {tokens} = known, all = rows(bert), weights = all[chosen.layer][chosen.head];
      const row = weights[chosen.token], name = tokens[chosen.token];
      const choose = (place, event) => {
        const moved = event.type === "pointermove";
        // A pointer that rests while what lies under it is drawn anew has chosen nothing.
        if (place === chosen.token || (moved && !event.movementX && !event.movementY)) return;
        chosen.token = place;
        changed({quiet: moved});
      };
      const left = tokens.map((token, i) => h("button", {type: "button", "aria-pressed": i === chosen.token,
        "data-key": `token ${i}`, onclick: event => choose(i, event), onfocus: event => choose(i, event),
        onpointermove: event => choose(i, event)}, token));
      const right = tokens.map((token, j) => h("li", {}, h("span", {}, token),
        h("span", {class: "live-number"}, row[j].toFixed(2))));
      const grid = h("table", {class: "live-heads"}, h("caption", {}, "All heads: rows attend, columns are attended to"),
        h("thead", {}, h("tr", {}, h("td", {}), ...all[0].map((_, k) => h("th", {scope: "col"}, `head ${k + 1}`)))),
        h("tbody", {}, ...all.map((heads, l) => h("tr", {}, h("th", {scope: "row"}, `layer ${l + 1}`),
          ...heads.map((table, k) => h("td", {}, thumbnail(table, l, k)))))));
      const web = h("div", {class: "live-web", role: "group",
        "aria-label": `layer ${chosen.layer + 1}, head ${chosen.head + 1}: choose the token that attends`},
        h("div", {class: "live-from"}, ...left), lines(weights), h("ul", {class: "live-to"}, ...right));
      const best = CourseBert.largest(row, 3).map(j => `${tokens[j]} ${row[j].toFixed(2)}`);
      const what = measure ? " (weight times length of value)" : "";
      const said = `Layer ${chosen.layer + 1}, head ${chosen.head + 1}: ${name}, token ${chosen.token + 1} of`
        + ` ${tokens.length}, attends most to ${best.join(", ")}${what}.`;
      return {view: [h("div", {class: "live-two"}, grid, web), ...foreign(known.unknown)], said};
    }
    return {controls: [labelled("Sentence", sentence), measures], draw};
  }

  function masks({tokens, vectors, mask: start}, changed) {
    const n = tokens.length, width = vectors[0].length;
    let mask = start.map(row => [...row]);
    const presets = {
      bidirectional: () => true, causal: (i, j) => j <= i, "only itself": (i, j) => i === j,
    };
    const buttons = Object.entries(presets).map(([name, allowed]) => h("button", {type: "button",
      onclick: () => { mask = tokens.map((_, i) => tokens.map((_, j) => allowed(i, j))); changed(); }}, name));
    const mix = allowed => vectors.map((query, i) => {
      const scores = vectors.map((key, j) => allowed[i][j]
        ? query.reduce((sum, q, k) => sum + q * key[k], 0) / Math.sqrt(width) : -Infinity);
      const weights = CourseBert.softmax(scores);
      return {weights, output: vectors[0].map((_, k) =>
        weights.reduce((sum, weight, j) => sum + weight * vectors[j][k], 0))};
    });
    const everything = mix(tokens.map(() => tokens.map(() => true)));
    function draw() {
      const cell = (i, j) => h("button", {type: "button", "aria-pressed": mask[i][j], "data-key": `cell ${i} ${j}`,
        "aria-label": `${mask[i][j] ? "yes" : "no"}: may ${tokens[i]} attend to ${tokens[j]}?`,
        onclick: () => { mask[i][j] = !mask[i][j]; changed(); }}, mask[i][j] ? "yes" : "no");
      const grid = table(["who attends to", ...tokens], tokens.map((token, i) =>
        [token, ...tokens.map((_, j) => cell(i, j))]), "The mask: click a cell to switch it");
      const now = mix(mask), number = value => Number.isNaN(value) ? "nan" : value.toFixed(2);
      const moved = now.map(({output}, i) =>
        Math.hypot(...output.map((value, k) => value - everything[i].output[k])));
      const weights = table(["weights", ...tokens], now.map(({weights}, i) =>
        [tokens[i], ...weights.map(number)]), "Attention weights: a row for each token that attends");
      const outputs = table(["output", ...vectors[0].map((_, k) => `[${k}]`), "moved from bidirectional?"],
        now.map(({output}, i) => [tokens[i], ...output.map(number),
          moved[i] < 1e-6 ? "no" : `by ${number(moved[i])}`]),
        "Outputs: each row is the weighted mean of the vectors");
      const empty = tokens.filter((_, i) => !mask[i].some(Boolean));
      const said = empty.length
        ? empty.map(token => `'${token}' may attend to nobody: the mean of nothing is 0/0, shown as nan.`).join(" ")
        : `${moved.filter(distance => distance >= 1e-6).length} of ${n} outputs differ from the bidirectional ones.`;
      return {view: [grid, weights, outputs], said};
    }
    return {controls: [h("div", {class: "live-row", role: "group", "aria-label": "masks to begin with"}, ...buttons)],
      draw, modelless: true};
  }

  // Whole numbers to fractions from 0 to 1, the same for the same seed (a Weyl sequence, well mixed).
  function generator(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
    };
  }

  // What becomes of every token: "" or its fate, and the id that the model sees. Special tokens stay.
  function corrupt(ids, special, vocabSize, maskId, rate, random) {
    const ordinary = Array.from({length: vocabSize}, (_, id) => id).filter(id => !special.has(id));
    return ids.map(id => {
      if (special.has(id) || random() >= rate) return {id, fate: ""};
      const draw = random();
      if (draw < 0.8) return {id: maskId, fate: "masked"};
      if (draw >= 0.9) return {id, fate: "kept"};
      return {id: ordinary[Math.floor(random() * ordinary.length)], fate: "random"};
    });
  }

  function masking({text, sentences}, changed) {
    const list = h("datalist", {id: `live-list-${++named}`}, ...sentences.map(value => h("option", {value})));
    const sentence = field(text, list.id);
    const rate = slider("Rate", {min: 0.05, max: 0.95, step: 0.05, value: 0.15, name: percent});
    let seed = 1;
    const again = h("button", {type: "button", onclick: () => { seed++; changed(); }}, "Draw again");
    for (const control of [sentence, rate.control]) control.addEventListener("input", changed);
    function draw(bert) {
      const {tokens, ids, unknown} = read(bert, sentence.value), {vocab} = bert.tokenizer;
      const special = new Set(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(piece => bert.tokenizer.ids.get(piece)));
      const fates = corrupt(ids, special, vocab.length, bert.tokenizer.ids.get("[MASK]"), Number(rate.control.value), generator(seed));
      const places = [...ids.keys()].filter(i => fates[i].fate);
      const seen = table(["written", ...tokens], [["the model sees", ...fates.map(({id}) => vocab[id])],
        ["selected, and", ...fates.map(({fate}) => fate)]], `Selected: ${places.length} of ${ids.length - 2} pieces`);
      if (!places.length) {
        const said = "Nothing is selected: this row teaches nothing this time. Draw again.";
        return {view: [seen, ...foreign(unknown)], said};
      }
      const last = bert.encode(fates.map(({id}) => id)).states.at(-1);
      const rows = places.map(place => {
        const chances = CourseBert.softmax(bert.predict(last, place));
        return [`${tokens[place]} (${fates[place].fate})`,
          ...CourseBert.largest(chances, 3).map(id => guess(vocab[id], chances[id])),
          (-Math.log(chances[ids[place]])).toFixed(2)];
      });
      const guesses = table(["label", "guess 1", "guess 2", "guess 3", "loss"], rows,
        "Best guesses at the selected positions; loss: -log p(label), in nats");
      const said = `Selected: ${places.map(place => `${tokens[place]}, ${fates[place].fate}`).join("; ")}.`;
      return {view: [seen, guesses, ...foreign(unknown)], said};
    }
    return {controls: [list, labelled("Sentence", sentence), rate.row, h("div", {class: "live-row"}, again)], draw};
  }

  function neighbours({text, occurrences, layers}, changed) {
    const sentence = field(text);
    const layer = slider("Layer", {min: 0, max: layers, value: layers});
    const count = slider("Neighbours", {min: 1, max: 12, value: 6});
    for (const control of [sentence, layer.control, count.control]) control.addEventListener("input", changed);
    const [first, firstPlace] = occurrences[0], word = first.split(" ")[firstPlace];
    let known = null; // the vectors of all occurrences, layer by layer
    const vector = (rows, place, width) => rows.subarray(place * width, (place + 1) * width);
    function draw(bert) {
      const {tokens, ids, unknown} = read(bert, sentence.value), width = bert.config.hidden_size;
      const place = tokens.indexOf(word);
      if (place < 0) throw new Refusal(`The sentence must hold the word '${word}'.`);
      known ??= occurrences.map(([text, where]) =>
        bert.encode(bert.tokenizer.encode(text).ids).states.map(rows => vector(rows, where + 1, width)));
      const depth = Number(layer.control.value), k = Number(count.control.value);
      const own = vector(bert.encode(ids).states[depth], place, width);
      const cosines = known.map(states => CourseBert.cosine(states[depth], own));
      const best = CourseBert.largest(cosines, k), senses = {};
      for (const i of best) senses[occurrences[i][2]] = (senses[occurrences[i][2]] ?? 0) + 1;
      const shares = Object.entries(senses).map(([sense, times]) => `${times} ${sense}`).join(", ");
      const where = depth ? `after layer ${depth}` : "before the first layer";
      const said = `Nearest to '${word}' ${where}: ${shares}`;
      const rows = best.map(i => [occurrences[i][0], occurrences[i][2], cosines[i].toFixed(3)]);
      return {view: [table(["nearest sentence", "its sense", "cosine"], rows, said), ...foreign(unknown)], said: `${said}.`};
    }
    return {controls: [labelled("Sentence", sentence), layer.row, count.row], draw};
  }

  function dial({text, layers, names}, changed) {
    const sentence = field(text);
    const depth = slider(names[1], {min: 0, max: layers, value: layers});
    const factors = names.slice(2).map(name =>
      slider(name, {min: 0, max: 1, step: 0.1, value: 1, name: value => Number(value).toFixed(1)}));
    for (const control of [sentence, depth.control, ...factors.map(factor => factor.control)])
      control.addEventListener("input", changed);
    const cosine = value => value.toFixed(2).replace("-0.00", "0.00");
    function draw(bert) {
      const {tokens, ids, unknown} = read(bert, sentence.value), width = bert.config.hidden_size;
      const after = Number(depth.control.value), keep = factors.map(({control}) => Number(control.value));
      const states = bert.encode(ids, null, keep).states;
      const apart = states.map(rows => CourseBert.apart(rows, width).toFixed(3));
      const vectors = tokens.map((_, i) => states[after].subarray(i * width, (i + 1) * width));
      const cosines = vectors.map(one => vectors.map(other => CourseBert.cosine(one, other)));
      const [attention, feedForward] = keep.map(factor => factor.toFixed(1));
      const distances = table(["after layer", ...states.keys()], [["apart", ...apart]],
        "How far apart the words are, as a share of their length (0: the embeddings)");
      const pairs = table(["", ...tokens], tokens.map((token, i) => [token, ...cosines[i].map(cosine)]),
        `Cosines between the tokens after ${after} layers, residual times ${attention} (attention) and`
        + ` ${feedForward} (feed-forward)`);
      const said = `After ${after} layers the words are ${apart[after]} of their length apart; the cosine of the two`
        + ` least alike is ${cosine(Math.min(...cosines.flat()))}.`;
      return {view: [distances, pairs, ...foreign(unknown)], said};
    }
    return {controls: [labelled(names[0], sentence), depth.row, ...factors.map(factor => factor.row)], draw};
  }

  const KINDS = {"fill-blank": fillBlank, attention, dial, masks, masking, neighbours};

  // --- Bringing a panel to life

  function enliven(section) {
    const data = JSON.parse(section.querySelector("script").textContent);
    const view = section.querySelector(".live-view"), said = section.querySelector(".live-said");
    let bert = null, touched = false, waiting = 0, busy = false;

    // Said only once a reader rests, or every letter typed would be talked over.
    function announce(text) {
      clearTimeout(waiting);
      waiting = setTimeout(() => { if (said.textContent !== text) said.textContent = text; }, 300);
    }

    function show(quiet = false) {
      if (busy) return;
      busy = true; // focus that comes back must not draw again
      const key = view.contains(document.activeElement) && document.activeElement.dataset.key;
      try {
        const drawn = panel.draw(bert);
        view.replaceChildren(...drawn.view);
        if (!quiet) announce(drawn.said);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        view.replaceChildren(h("p", {}, error.message));
        announce(error.message);
      } finally {
        if (key) view.querySelector(`[data-key="${key}"]`)?.focus({preventScroll: true});
        busy = false;
      }
      window.markScrollable?.();
    }

    async function changed({quiet = false} = {}) {
      if (bert || panel.modelless) return show(quiet);
      if (!touched) await touch();
    }

    async function touch() {
      if (touched) return;
      touched = true;
      try {
        if (!panel.modelless) {
          section.setAttribute("aria-busy", "true");
          bert = await CourseBert.load(section.dataset.weights);
        }
        show();
      } catch (error) {
        touched = false;
        announce(`This panel cannot answer here: ${error.message}.`);
      } finally {
        section.removeAttribute("aria-busy");
      }
    }

    const panel = KINDS[section.dataset.panel](data, changed);
    section.insertBefore(h("div", {class: "live-controls"}, ...panel.controls), view);
    for (const kind of ["pointerdown", "focusin"]) section.addEventListener(kind, touch);
  }

  addEventListener("DOMContentLoaded", () => document.querySelectorAll(".live-panel").forEach(enliven));
  return {corrupt, generator};
})();
