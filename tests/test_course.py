"""What holds the course together: taught code is library code, and the glossary follows the notebooks."""

import ast
import copy
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from course_utils import finetuning, nsp, pretraining, training
from course_utils.bert import BertConfig, BertForPreTraining, BertModel
from course_utils.toy import tasks as toy_tasks
from course_utils.toy.language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer
from tools import glossary, minutes, notebooks, panel_cells, taught

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def tagged_cells() -> list:
    """(cell, names) of every cell that says it defines what the package defines."""
    found = []
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            if names := taught.names_of(cell):
                found.append(pytest.param(cell, names, id=f"{cell.id}-{names[0]}"))
    return found


@pytest.mark.parametrize(("cell", "names"), tagged_cells())
def test_taught_code_is_library_code(cell, names):
    assert cell.source == taught.cell_source(cell.source, names), "run `make notebooks`"


def test_drift_of_one_sign_is_written_back():
    name = "course_utils.masks.to_attention_bias"
    source = taught.lesson_source(name)
    drifted = source.replace("~mask", "mask")
    assert drifted != source
    assert taught.cell_source(drifted, [name]) == source


def test_a_cell_keeps_what_stands_around_its_definitions():
    name = "course_utils.masks.to_attention_bias"
    cell = f"import torch\n\n\n{taught.lesson_source(name)}\n\n\nprint(torch.ones(2))"
    assert taught.cell_source(cell, [name]) == cell
    empty = "import torch"
    assert taught.cell_source(empty, [name]).startswith("import torch\n\n\ndef to_attention_bias(")


def test_a_lesson_leaves_out_docstrings_and_annotations_and_keeps_comments():
    source = '''
def double(x: "é", *, times: int = 2) -> dict[str, int]:
    """Two lines

    of text."""
    # Why: said here.
    def inner(y: int) -> int:
        z: int = y
        return y * times  # the product

    return inner(x)
'''
    expected = """
def double(x, *, times = 2):
    # Why: said here.
    def inner(y):
        z = y
        return y * times  # the product

    return inner(x)
"""
    assert taught.without_hints(source) == expected


@pytest.mark.parametrize("name", ["course_utils.masks.nothing", "course_utils.mlm.MASK_SHARE"])
def test_a_tag_that_names_no_definition_is_refused(name):
    with pytest.raises(ValueError, match="expected a function or class"):
        taught.lesson_source(name)


# --- A lesson's own version gives the package's numbers, to the last bit

COVERED = {  # what is taught as a whole: a lesson shows the package's code, or a version that equals it
    "course_utils.bert.BertModel",
    "course_utils.bert.BertForPreTraining",
    "course_utils.mlm.corrupt",  # `mask_tokens` gives what it gives, with fewer draws: tests/test_mlm.py
    "course_utils.nsp.make_pairs",
    "course_utils.word2vec.skipgram_step",
    "course_utils.pretraining.Pretrainer.step",
    "course_utils.finetuning.finetune",
}
TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32}
CONFIG = BertConfig(vocab_size=len(TOKENIZER), intermediate_size=32, **SIZES)


def lesson_versions() -> list:
    """(notebook up to it, its name there, that in the package) of every definition tagged as equal."""
    found = []
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        for place, cell in enumerate(cells):
            if full_names := taught.names_of(cell, taught.EQUAL_PREFIX):
                defined = [node.name for node in ast.parse(cell.source).body if hasattr(node, "name")]
                notebook = nbformat.v4.new_notebook(cells=cells[: place + 1])
                for name, full_name in zip(defined, full_names, strict=True):
                    found.append(pytest.param(notebook, name, full_name, id=full_name))
    return found


def lesson_version(notebook, name):
    """What a lesson defines under a name, with the cells that it depends on run before."""
    names: dict = {}
    for place in panel_cells.needed(notebook, frozenset({name})):
        exec(notebook.cells[place].source, names)  # noqa: S102
    return names[name]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batches() -> Iterator[dict[str, torch.Tensor]]:
    """Five random batches with a padded row each."""
    for seed in range(5):
        ids = torch.randint(5, len(TOKENIZER), (3, 8 + seed), generator=seeded(seed))
        mask = torch.ones_like(ids)
        mask[0, 5:] = 0
        segments = torch.randint(2, ids.shape, generator=seeded(seed))
        yield {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}


def same_weights(ours, package) -> None:
    pairs = list(zip(ours.parameters(), package.parameters(), strict=True))
    assert pairs and all(torch.equal(p, q) for p, q in pairs)


def equal_encoder(own) -> None:
    package = BertModel(CONFIG).eval()
    ours = own(CONFIG).eval()
    ours.load_state_dict(package.state_dict())
    for batch in batches():
        hidden, pooled = ours(**batch)
        output = package(**batch)
        assert torch.equal(hidden, output.last_hidden_state) and torch.equal(pooled, output.pooler_output)


def equal_heads(own) -> None:
    package = BertForPreTraining(CONFIG).eval()
    ours = own(CONFIG).eval()
    ours.load_state_dict(package.state_dict())
    for batch in batches():
        scores, output = ours(**batch), package(**batch)
        assert torch.equal(scores["MLM logits"], output.prediction_logits)
        assert torch.equal(scores["NSP logits"], output.seq_relationship_logits)


def equal_pairs(own) -> None:
    for seed in range(5):
        documents = [[[f"{d}-{s}"] for s in range(1 + (d + seed) % 4)] for d in range(5)]
        pairs = nsp.make_pairs(documents, generator=seeded(seed))
        assert own(documents, seeded(seed)) == pairs
        assert {pair.label for pair in pairs} == {0, 1}


def equal_pretraining_step(own) -> None:
    settings = pretraining.Settings(documents=40, steps=5, tokens_per_step=256, warmup_steps=2, **SIZES)
    ours, package = (pretraining.Pretrainer(settings, TOKENIZER) for _ in range(2))
    for step in range(5):
        own(ours.model, ours.optimizer, ours.order[step], step, settings)
        package.step()
    same_weights(ours.model, package.model)


def equal_finetuning_step(own) -> None:
    task = finetuning.TextClassification(TOKENIZER, toy_tasks.REVIEW_LABELS, max_length=32)
    settings, reviews = finetuning.Settings(epochs=1, seed=3), toy_tasks.reviews(80)
    ours, package = (finetuning.new_model(task, CONFIG) for _ in range(2))
    optimizer = torch.optim.AdamW(finetuning.parameter_groups(ours, settings), fused=True)
    # The loop gives back the best weights, which need not be the last.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.EarlyStopping, "restore", lambda self: None)
        result = finetuning.finetune(package, task, reviews, reviews[:2], settings, progress=False)
    rows = finetuning.endless_batches(task.encode(reviews), settings)
    torch.manual_seed(settings.seed)
    losses = []
    for step in range(5):
        rate = settings.learning_rate * training.schedule(step, 5, round(5 * settings.warmup_share))
        losses.append(own(ours, optimizer, next(rows), rate))
    same_weights(ours, package)
    assert result.log[1]["loss"] == np.mean(losses)


EQUAL = {
    "course_utils.bert.BertModel": equal_encoder,
    "course_utils.bert.BertForPreTraining": equal_heads,
    "course_utils.nsp.make_pairs": equal_pairs,
    "course_utils.pretraining.Pretrainer.step": equal_pretraining_step,
    "course_utils.finetuning.finetune": equal_finetuning_step,
}


@pytest.mark.parametrize(("notebook", "name", "full_name"), lesson_versions())
def test_own_version_of_a_lesson_equals_the_package_to_the_bit(notebook, name, full_name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        EQUAL[full_name](lesson_version(notebook, name))


def test_what_is_taught_as_a_whole_is_shown_in_a_lesson():
    shown = {name for cell in tagged_cells() for name in cell.values[1]}
    assert COVERED <= shown | {version.values[2] for version in lesson_versions()}


def test_a_change_of_one_number_is_noticed():
    version = next(v for v in lesson_versions() if v.values[2] == "course_utils.nsp.make_pairs")
    notebook, name, full_name = version.values
    changed = copy.deepcopy(notebook)
    for cell in changed.cells:
        cell.source = cell.source.replace(
            "torch.rand(n, generator=generator) < 0.5", "torch.rand(n, generator=generator) < 0.4"
        )
    assert changed != notebook
    with pytest.raises(AssertionError):
        EQUAL[full_name](lesson_version(changed, name))


# --- The glossary


def test_glossary_is_what_the_notebooks_say():
    assert glossary.PAGE.read_text(encoding="utf-8") == glossary.page(), "run `make pages`"


NOTEBOOK_WITH_TERMS = nbformat.v4.new_notebook(
    cells=[
        nbformat.v4.new_markdown_cell(
            "A **mask** is a table that a query sees, in nats.\n\n**New terms**: **mask**, **query**."
        )
    ]
)


def test_terms_and_their_definitions_belong_together():
    whole = {"mask": "A table.", "query": "What asks."}
    found = glossary.problems_of(NOTEBOOK_WITH_TERMS, whole)
    assert found == ["'query' is listed as new and nowhere introduced in bold"]
    NOTEBOOK_WITH_TERMS.cells[0].source = NOTEBOOK_WITH_TERMS.cells[0].source.replace(
        "a query", "a **query**"
    )
    assert glossary.terms_of(NOTEBOOK_WITH_TERMS) == ["mask", "query"]
    assert glossary.problems_of(NOTEBOOK_WITH_TERMS, whole | {"nat": "The unit of ln."}) == []


@pytest.mark.parametrize(
    ("definitions", "words"),
    [
        ({"mask": "A table."}, "'query' is listed as new and has no definition"),
        ({"mask": "A table.", "query": "asks"}, "'query': expected whole sentences, got 'asks'"),
        ({"mask": "A table.", "query": "Asks.", "key": "Is asked."}, "'key' is defined, and the notebook"),
    ],
)
def test_a_definition_that_does_not_fit_is_found(definitions, words):
    assert any(
        problem.startswith(words) for problem in glossary.problems_of(NOTEBOOK_WITH_TERMS, definitions)
    )


# --- The minutes


def test_minutes_are_those_of_the_rule_everywhere():
    for path, page in minutes.pages().items():
        expected = page if isinstance(page, str) else notebooks.to_bytes(page).decode()
        assert path.read_text(encoding="utf-8") == expected, f"{path.name}: run `make pages`"


def test_minutes_count_words_code_and_exercises():
    cells = [
        nbformat.v4.new_markdown_cell("word " * 1600 + "[a](https://example.org/many-more-words)"),
        nbformat.v4.new_code_cell("a = 1\n\n" * 99 + "ex.one.check(a)"),
        nbformat.v4.new_code_cell("left out\n" * 500, metadata={"tags": ["remove-cell"]}),
    ]
    assert minutes.minutes(nbformat.v4.new_notebook(cells=cells)) == 20  # 10 + 5 + 4, to five minutes
