"""One process of the measurement of notebook 18, to be started by torchrun; process 0 prints the times.

    torchrun --standalone --nproc_per_node 2 -m course_utils.lessons.many_machines.worker --times 20

One thread each. A time is that of the quickest of several steps, in seconds.
"""

import argparse
import json
import os
import time
from dataclasses import replace

import torch
import torch.distributed as dist

from course_utils import checkpoints, pretraining
from course_utils.wordpiece import WordPieceTokenizer

TOKENS = (256, 1024, 4096)  # positions of a batch
SEQ_LEN = 32


def trainer_for(tokens: int) -> pretraining.Pretrainer:
    """A fresh model of the size of the live run, and one batch of random pieces, again and again."""
    tokenizer = WordPieceTokenizer.from_file(checkpoints.DATA / "vocab.txt")
    generator = torch.Generator().manual_seed(tokens)
    shape = (tokens // SEQ_LEN, SEQ_LEN)
    ids = torch.randint(200, len(tokenizer), shape, generator=generator)
    labels = torch.zeros(shape[0], dtype=torch.long)
    batch = pretraining.Batch(ids, torch.zeros_like(ids), labels)
    settings = replace(pretraining.LIVE, tokens_per_step=tokens, steps=10_000)
    return pretraining.Pretrainer(settings, tokenizer, [batch])


def quickest(call, times: int) -> float:
    """Seconds of the quickest call; all processes begin each one together."""
    found = []
    for _ in range(times + 2):
        if dist.is_initialized():
            dist.barrier()
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found[2:])


def measure(times: int) -> dict:
    """{"step": {positions of the batch: seconds}, "all-reduce": seconds, "bytes": of the gradient}."""
    found: dict = {"step": {}}
    for tokens in TOKENS:
        trainer = trainer_for(tokens)
        found["step"][str(tokens)] = quickest(trainer.step, times)
    gradient = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    found["bytes"] = gradient.numel() * gradient.element_size()
    found["all-reduce"] = quickest(lambda: dist.all_reduce(gradient), times) if dist.is_initialized() else 0.0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20, help="steps that are timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        dist.init_process_group("gloo")
    found = measure(options.times)
    if not dist.is_initialized() or dist.get_rank() == 0:
        print(json.dumps(found))
    pretraining.leave_processes()


if __name__ == "__main__":
    main()
