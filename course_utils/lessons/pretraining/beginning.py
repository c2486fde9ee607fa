"""The beginning of the embedded model's run, measured closely: its loss, and what it answers in one blank.

The model's own log (`course_utils/data/embedded/training.json`) begins at step 250, when most is over. Here
the same settings run again for the first thousand steps, on one thread. `img/first_picture.py` draws both as
one curve. Some minutes on one core; make it anew with

    python -m course_utils.lessons.pretraining.beginning
"""

import argparse
import json
from pathlib import Path

import torch

from course_utils import checkpoints, commands, pretraining
from course_utils.files import write_text
from course_utils.pretraining import Settings
from course_utils.toy.language import ToyLanguage

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.pretraining.beginning"
STEPS = (0, 5, 10, 20, 30, 45, 60, 80, 100, 130, 160, 200, 250, 350, 500, 750, 1000)
SENTENCE = "the [MASK] was robbed yesterday"
GUESSES = 5


@torch.no_grad()
def answer(model, tokenizer) -> list[list]:
    """The best pieces for the blank of `SENTENCE`, each with its probability."""
    model.eval()
    ids = torch.tensor([tokenizer.encode(SENTENCE).input_ids])
    blank = ids[0] == tokenizer.mask_token_id
    chances = model(ids).prediction_logits[0, blank][0].softmax(dim=-1)
    model.train()
    best = chances.topk(GUESSES)
    pieces = tokenizer.convert_ids_to_tokens(best.indices.tolist())
    return [[piece, round(p, 4)] for piece, p in zip(pieces, best.values.tolist(), strict=True)]


def perfect(tokenizer) -> float:
    """The probability of "bank" in the blank under the language itself."""
    language = ToyLanguage(seed=0, vocab=tokenizer.id_to_token)
    ids = torch.tensor([tokenizer.encode(SENTENCE).input_ids])
    posterior = language.posteriors(ids, ids == tokenizer.mask_token_id, 0.15)
    return round(float(posterior[0, tokenizer.vocab["bank"]]), 4)


def measure(steps: tuple[int, ...] = STEPS, settings: Settings | None = None) -> dict:
    """Run to the last of `steps`; at each of them the held-out loss at [MASK] and the answer."""
    settings = settings or Settings()
    torch.set_num_threads(1)
    tokenizer = checkpoints.load("embedded")[1]
    data, run = pretraining.held_out(tokenizer), pretraining.Pretrainer(settings, tokenizer)
    rows, floors = [], {}
    for step in range(max(steps) + 1):
        if step in steps:
            summary = pretraining.compare(pretraining.evaluate(run.model, data), data)
            floors = {
                name: round(summary[name], 4) for name in ("unigram", "bigram", "left", "bidirectional")
            }
            row = {
                "step": step,
                "held_out": round(summary["model"], 4),
                "answer": answer(run.model, tokenizer),
            }
            rows.append(row)
            print(row["step"], row["held_out"], row["answer"][0], flush=True)
        run.step()
    result = {"command": COMMAND, "sentence": SENTENCE, "perfect": perfect(tokenizer)}
    return result | {"floors": floors, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.parse_args()
    write_text(RESULT, json.dumps(measure(), indent=1) + "\n")


if __name__ == "__main__":
    commands.run(main)
