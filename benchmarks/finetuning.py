"""P10: fine-tuning, from rows in memory to a model scored on dev after every epoch, against the Trainer of
transformers.

The embedded encoder, 400 film reviews and as many for dev, batches of 16, three epochs, dropout off. Both
sides begin with the same weights, cut and pad alike (`tasks.collate`), take AdamW with the same rate,
warm-up, decay and clipping, and score dev after each epoch. First the logits of the start are compared, and
the dev accuracies at the end, over seeds; then whole runs are timed in blocks A B B A. What differs is what
each does beside the steps: ours scores dev sorted by length, and keeps the best weights.

Beside the two stands the time of our steps alone, without dev and without keeping the best weights: no
way to fine-tune this model that takes the same steps can be quicker, so library / steps alone bounds the
ratio.

    python -m benchmarks P10
"""

import tempfile
from dataclasses import asdict, replace
from itertools import islice

import numpy as np
import torch

from benchmarks import protocol
from course_utils import checkpoints, finetuning, training
from course_utils.tasks import TextClassification, collate
from course_utils.toy import tasks as toy_tasks

GOAL = 1.5
EXAMPLES, SEEDS, BLOCKS = 400, (0, 1, 2), 8  # a block is four runs of some seconds each
SETTINGS = finetuning.Settings(epochs=3, patience=3)
LOGIT_TOLERANCE = 1e-5


class Sides:
    """The two ways to fine-tune, on the same examples: `ours(seed)` and `library(seed)` give dev accuracy."""

    def __init__(self, examples: int = EXAMPLES):
        self.encoder, tokenizer = checkpoints.load("embedded")
        self.task = TextClassification(tokenizer, ("negative", "positive"))
        self.train = toy_tasks.reviews(examples, part="train")
        self.dev = toy_tasks.reviews(examples, part="dev")
        self.rows, self.dev_rows = self.task.encode(self.train), self.task.encode(self.dev)

    def our_model(self) -> torch.nn.Module:
        return finetuning.new_model(self.task, self.encoder, dropout=0.0)

    def library_model(self) -> torch.nn.Module:
        """The library's model with the weights of `our_model`."""
        import transformers

        model = self.our_model()
        library = transformers.BertForSequenceClassification(transformers.BertConfig(**asdict(model.config)))
        library.load_state_dict(model.state_dict(), strict=True)
        return library

    def logits(self, model: torch.nn.Module) -> torch.Tensor:
        """Of the first rows of dev: (16, 2)."""
        batch = self.collated(self.dev_rows[:16])
        batch.pop("labels")
        with torch.no_grad():
            return model.eval()(**batch).logits

    def collated(self, rows: list) -> dict[str, torch.Tensor]:
        """The columns under the names that the library's models take."""
        batch = collate(rows, self.task.tokenizer.pad_token_id)
        batch["labels"] = batch.pop("target")
        return batch

    def ours(self, seed: int = 0) -> float:
        settings = replace(SETTINGS, seed=seed)
        found = finetuning.finetune(
            self.our_model(), self.task, self.train, self.dev, settings, progress=False
        )
        return found.log[-1]["accuracy"]

    def steps_alone(self) -> None:
        """Forward, backward and update on the batches of a run, and nothing else."""
        model = self.our_model().train()
        groups = finetuning.parameter_groups(model, SETTINGS)
        optimizer = torch.optim.AdamW(groups, lr=SETTINGS.learning_rate, fused=True)
        steps = SETTINGS.epochs * -(-len(self.rows) // SETTINGS.batch_size)
        for rows in islice(finetuning.endless_batches(self.rows, SETTINGS), steps):
            batch = collate(rows, self.task.tokenizer.pad_token_id)

            def backward(batch: dict = batch) -> float:
                loss = self.task.loss(model, batch, None)
                loss.backward()
                return float(loss.detach())

            training.update(model, optimizer, backward, SETTINGS.learning_rate, SETTINGS.clip)

    def library(self, seed: int = 0) -> float:
        import transformers

        total = SETTINGS.epochs * -(-len(self.rows) // SETTINGS.batch_size)
        with tempfile.TemporaryDirectory() as folder:
            arguments = transformers.TrainingArguments(
                output_dir=folder,
                num_train_epochs=SETTINGS.epochs,
                per_device_train_batch_size=SETTINGS.batch_size,
                per_device_eval_batch_size=64,
                learning_rate=SETTINGS.learning_rate,
                warmup_steps=round(SETTINGS.warmup_share * total),
                weight_decay=SETTINGS.weight_decay,
                max_grad_norm=SETTINGS.clip,
                optim="adamw_torch_fused",
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                remove_unused_columns=False,
                use_cpu=True,
                seed=seed,
            )
            trainer = transformers.Trainer(
                model=self.library_model(),
                args=arguments,
                data_collator=self.collated,
                train_dataset=self.rows,
                eval_dataset=self.dev_rows,
                compute_metrics=lambda found: {
                    "accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())
                },
            )
            trainer.remove_callback(transformers.PrinterCallback)
            trainer.train()
        return next(
            entry["eval_accuracy"]
            for entry in reversed(trainer.state.log_history)
            if "eval_accuracy" in entry
        )


def run(blocks: int = BLOCKS, examples: int = EXAMPLES) -> dict[str, dict]:
    """P10: a whole run of fine-tuning as a multiple of the Trainer's speed.

    Met means as well: the mean dev accuracy is at most the scatter of the seeds below the library's.
    """
    sides = Sides(examples)
    difference = float((sides.logits(sides.our_model()) - sides.logits(sides.library_model())).abs().max())
    assert difference <= LOGIT_TOLERANCE, f"the logits differ by {difference:.1e}"
    scores = {name: [getattr(sides, name)(seed) for seed in SEEDS] for name in ("ours", "library")}
    times = protocol.abba(sides.ours, sides.library, blocks, warm_up=1)
    seconds = {name: float(np.median(column)) for name, column in zip(scores, times.T, strict=True)}
    seconds["steps_alone"] = float(np.median(protocol.repeat(sides.steps_alone, blocks)))
    bound = seconds["library"] / seconds["steps_alone"]
    row = protocol.ratio_row(
        "fine-tuning with dev scored each epoch, against the Trainer of transformers",
        GOAL,
        times,
        seconds=seconds,
        bound_of_the_ratio=bound,
        why=f"our steps alone take {seconds['steps_alone']:.1f} s of our {seconds['ours']:.1f} s, and the "
        f"library's whole run {seconds['library']:.1f} s: with these steps no run can be more than "
        f"{bound:.2f}x as fast.",
        dev_accuracy={name: float(np.mean(found)) for name, found in scores.items()},
        logit_difference=difference,
    )
    scatter = float(np.std(scores["library"], ddof=1))
    row["met"] &= np.mean(scores["ours"]) >= np.mean(scores["library"]) - scatter
    row["met"] = bool(row["met"])
    return {"P10": row}
