"""The exam bank: every question has its key, and every key that can be computed is computed here."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
import torch
from scipy.stats import binomtest
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_utils import lora, masks, nsp, profiler, sentence_vectors
from course_utils.bert import BertConfig, BertForSequenceClassification
from course_utils.classroom import quiz
from course_utils.modern_bert import neighbourhood, rotate
from course_utils.pretraining import LIVE, learning_rate_at
from course_utils.wordpiece import WordPieceTokenizer
from tools import exam, exam_numbers, website
from tools.exam_numbers import CAN_CHANGE

DOCS = Path(__file__).resolve().parent.parent / "docs"
ENTRY = re.compile(r"^- \*\*(?P<id>\d\d\.\d)\*\* (?P<text>.+)$", re.MULTILINE)
BASE = BertConfig()
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def entries(name: str) -> dict[str, str]:
    return {match["id"]: match["text"] for match in ENTRY.finditer((DOCS / name).read_text(encoding="utf-8"))}


QUESTIONS, KEYS = entries("exam_questions.md"), entries("exam_keys.md")


def test_every_question_has_a_key_and_there_are_enough():
    assert list(QUESTIONS) == list(KEYS) and len(QUESTIONS) >= 60
    assert len(set(QUESTIONS.values())) == len(QUESTIONS)


def test_the_questions_page_holds_no_key():
    page = (DOCS / "exam_questions.md").read_text(encoding="utf-8")
    assert not any(key in page for key in KEYS.values() if len(key) > 25)


def cut(word: str) -> list[str]:
    vocab = [*SPECIALS, "play", "##ing", "##s", "p", "##lay", "##ings"]
    return WordPieceTokenizer(vocab).tokenize(word)


def adamw_move(gradient: float) -> float:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.0)
    weight.grad = torch.tensor([gradient])
    optimizer.step()
    return abs(weight.item())


def score_far_away() -> float:
    """The score at (109, 104) of vectors that score 1.3 at (9, 4)."""
    query, key = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def score(i: int, j: int) -> float:
        turned = (rotate(x, torch.tensor([at]), 10_000.0) for x, at in ((query, i), (key, j)))
        return float((next(turned) * next(turned)).sum())

    query *= 1.3 / score(9, 4)
    return score(109, 104)


def flops_of_a_layer(inputs: int, outputs: int, tokens: int) -> int:
    layer, x = torch.nn.Linear(inputs, outputs, bias=False), torch.randn(tokens, inputs, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        layer(x).sum().backward()
    return counter.get_total_flops()


def shared_gradient(slopes: list[float]) -> float:
    weight = torch.zeros((), requires_grad=True)
    (torch.tensor(slopes) * weight).mean().backward()
    return weight.grad.item()


def layer_norm(*numbers: float) -> str:
    return ", ".join(
        f"{x:.0f}" for x in F.layer_norm(torch.tensor(numbers, dtype=torch.float), (len(numbers),)).tolist()
    )


def moved_under_causal_mask() -> int:
    mask = masks.causal_mask(8)
    return int(mask[:, 3].sum())


def segment_ids() -> list[int]:
    tokenizer = WordPieceTokenizer(SPECIALS + [f"w{i}" for i in range(20)])
    return nsp.build_row([10, 11, 12], [13, 14, 15], tokenizer)[1]


def weights_with_padding() -> list[float]:
    scores = torch.tensor([0.5, 0.3, 0.2]).log()
    return scores.masked_fill(torch.tensor([False, False, True]), -math.inf).softmax(0).tolist()


def clip_factor() -> float:
    tensors = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
    tensors[0].grad, tensors[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    return 1 / torch.nn.utils.clip_grad_norm_(tensors, 1.0).item()


def base_profile():
    return profiler.profile(BASE, seq_len=128)


def attention_macs() -> int:
    everything = base_profile().under("matmul")["macs"]
    return everything - base_profile().under("linear")["macs"]


def pooled_number() -> float:
    states = torch.tensor([[[1.0], [5.0], [9.0], [9.0]]])
    return sentence_vectors.mean_pool(states, torch.tensor([[1, 1, 0, 0]])).item()


def tied(measure, *k: int) -> float:
    return measure(torch.zeros(1, 3), torch.eye(3)[:1], *k)


def numbers_of_adapters(rank: int) -> int:
    """What learns in BERT-base with adapters of this rank, without the head."""
    with torch.device("meta"):
        model = BertForSequenceClassification(BASE)
        lora.add(model, rank)
    return sum(p.numel() for p in model.bert.parameters() if p.requires_grad)


COMPUTED = {
    "01.1": lambda: [f"{(torch.eye(10)[0] - torch.eye(10)[1]).norm():.2f}"],
    "01.2": lambda: [str(sum(1 for i in range(6) for j in range(6) if abs(i - j) == 1))],
    "01.3": lambda: [f"{math.log(0.02 / (0.1 * 0.1)):.2f}"],
    "01.4": lambda: [f"{3 - math.log(5):.2f}"],
    "02.1": lambda: [" ".join(cut("playings"))],
    "02.2": lambda: [" ".join(cut("plan"))],
    "02.3": lambda: [f"{10 / (15 * 15):.3f}", f"{5 / (15 * 5):.3f}"],
    "03.1": lambda: [" ".join(str(i) for i in segment_ids())],
    "03.2": lambda: [layer_norm(1, 3, 1, 3)],
    "03.3": lambda: [str(BASE.max_position_embeddings * BASE.hidden_size)],
    "03.5": lambda: [f"{F.dropout(torch.ones(1000), 0.1).max().item():.2f}"],
    "04.1": lambda: [", ".join(f"{w:g}" for w in torch.tensor([0, 0, math.log(2)]).softmax(0).tolist())],
    "04.2": lambda: [f"{math.sqrt(64):g}", f"{math.sqrt(64) / math.sqrt(64):g}"],
    "04.3": lambda: [str(BASE.hidden_size // BASE.num_attention_heads)],
    "04.4": lambda: [str((3 * 10) ** 2 // 10**2)],
    "05.1": lambda: [str(int(masks.causal_mask(6).sum()))],
    "05.2": lambda: [f"{w:.3f}" for w in weights_with_padding()[:2]],
    "05.3": lambda: [str(moved_under_causal_mask())],
    "06.1": lambda: [str(12 * 768**2 + 13 * 768)],
    "06.2": lambda: [str(base_profile().counts()["add"] - 2), "2"],
    "06.3": lambda: [str(base_profile().totals.params)],
    "07.1": lambda: [str(round(10_000 * share)) for share in (0.15, 0.15 * 0.8, 0.15 * 0.1)],
    "07.4": lambda: [f"{math.log(945):.2f}"],
    "08.1": lambda: [{0: "IsNext", 1: "NotNext"}[nsp.IS_NEXT]],
    "08.2": lambda: [f"{math.log(2):.3f}"],
    "08.5": lambda: [f"{88.4 - 84.9:.1f}"],
    "09.1": lambda: [f"{adamw_move(7.0):.1g}", f"{adamw_move(0.0007):.1g}"],
    "09.2": lambda: [f"{learning_rate_at(330, LIVE):.3f}"],
    "09.3": lambda: [f"{clip_factor():.3f}"],
    "10.2": lambda: [
        f"{torch.tensor([2.0, 0.0]).softmax(0)[0]:.2f}",
        f"{F.cross_entropy(torch.tensor([[2.0, 0.0]]), torch.tensor([1])):.2f}",
    ],
    "10.3": lambda: [f"{90 / 100:g}"],
    "11.2": lambda: [f"{2 * 0.5 * 0.5 / (0.5 + 0.5):g}"],
    "13.1": lambda: [str(128 * 768 * 3072)],
    "13.2": lambda: [str(attention_macs())],
    "13.3": lambda: [str(4 * base_profile().totals.params)],
    "13.4": lambda: [f"{200 / 25:g} FLOP/byte"],
    "14.2": lambda: [
        str(round(66_362_880 / 1e6)),
        f"{100 * (1 - 66_362_880 / base_profile().totals.params):.0f} %",
    ],
    "15.1": lambda: [f"{pooled_number():g}"],
    "15.2": lambda: [f"{(1 - -1) / 0.1:g}"],
    "15.3": lambda: [
        f"{tied(sentence_vectors.recall_at, 1):.2f}",
        f"{tied(sentence_vectors.mean_reciprocal_rank):.2f}",
    ],
    "15.4": lambda: [str(200 + 3000), str(200 * 3000)],
    "16.1": lambda: [f"{score_far_away():.1f}"],
    "16.2": lambda: [str(2 * 768 * 3072 // (3 * 768))],
    "16.3": lambda: [str(int(neighbourhood(1000, 128).sum()))],
    "16.4": lambda: [f"{100 * (1 - int(masks.padding_mask([400, 100, 50, 50], 400).sum()) / 1600):.1f} %"],
    "17.1": lambda: [f"{binomtest(6, 6).pvalue:g}"],
    "17.2": lambda: [str(numbers_of_adapters(rank=4))],
    "18.1": lambda: [str(flops_of_a_layer(768, 3072, 128))],
    "18.2": lambda: [f"{shared_gradient([4.0] * 2 + [0.0] * 6):g}"],
    "18.3": lambda: [str(sum(440 // 4 for _ in range(2 * (4 - 1))))],
    "18.4": lambda: [f"{0.5 / 8 + 0.05:g}", f"{100 * 0.5 / (0.5 / 8 + 0.05) / 8:.0f} %"],
    "18.6": lambda: [str(10**6 * 256 * 512), f"{10**6 * 256 * 512 / 3.3e9:.1f}"],
}  # fmt: skip


@pytest.mark.parametrize("number", COMPUTED)
def test_key_is_the_computed_one(number):
    for value in COMPUTED[number]():
        assert re.search(rf"(?<![\w.]){re.escape(value)}(?![\w]|\.\d)", KEYS[number]), (value, KEYS[number])


# --- An exam that is drawn


@pytest.mark.parametrize("number", CAN_CHANGE)
def test_with_its_first_numbers_a_question_is_that_of_the_bank(number):
    assert CAN_CHANGE[number].with_numbers(0) == (QUESTIONS[number], KEYS[number])


def numbers_in(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", text)]


def bound(flops: float, bandwidth: float, at: float) -> str:
    return "memory-bound" if at * bandwidth < flops else "compute-bound"


def adamw_moves(rate: float, *gradients: float) -> set[float]:
    moved = set()
    for gradient in gradients:
        weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        weight.grad = torch.full((1,), gradient, dtype=torch.float64)
        torch.optim.AdamW([weight], lr=rate, weight_decay=0.0).step()
        moved.add(round(abs(weight.item()), 5))
    return moved


def peak_to_step(peak: float, warmup: float, steps: float, step: float) -> float:
    settings = dataclasses.replace(LIVE, learning_rate=peak, warmup_steps=int(warmup), steps=int(steps))
    return learning_rate_at(int(step), settings)


# The same by another way, from the numbers that stand in the question: the first numbers of the key.
AGAIN = {
    "01.1": lambda n: [math.dist((1, 0), (0, 1))],
    "01.3": lambda n: [math.log(n[0] / 100) - 2 * math.log(n[1] / 100)],
    "01.4": lambda n: [n[1] - math.log(n[0])],
    "02.3": lambda n: [],
    "03.2": lambda n: [],
    "03.5": lambda n: [F.dropout(torch.ones(1000), n[0]).max().item()],
    "04.1": lambda n: torch.tensor([0, 0, n[2]]).log().nan_to_num(neginf=0).softmax(0).tolist(),
    "04.2": lambda n: [n[0] ** 0.5, 1],
    "07.1": lambda n: [n[0] * 0.15, n[0] * 0.15 * 0.8, n[0] * 0.15 * 0.1, n[0] * 0.15 * 0.1],
    "07.4": lambda n: [F.cross_entropy(torch.zeros(1, int(n[0])), torch.tensor([0])).item()],
    "09.1": lambda n: sorted(adamw_moves(*n)),
    "09.2": lambda n: [peak_to_step(*n[:4])],
    "09.3": lambda n: [1 / torch.tensor(n[:3]).norm().item()],
    "10.2": lambda n: [
        torch.tensor([n[0], 0.0]).softmax(0)[0].item(),
        F.cross_entropy(torch.tensor([[n[0], 0.0]]), torch.tensor([1])).item(),
    ],
    "10.3": lambda n: [n[0] / n[1]],
    "13.1": lambda n: [n[0] * n[1] * n[2]],
    "13.4": lambda n: [n[0] / n[1]],
}


@pytest.mark.parametrize("number", AGAIN)
def test_the_key_of_every_number_is_what_comes_out_by_another_way(number):
    each = CAN_CHANGE[number]
    for place in range(len(each.numbers)):
        question, key = each.with_numbers(place)
        expected = AGAIN[number](numbers_in(question))
        signed = key.replace("−1.00", "-1.00")
        found = [float(text) for text in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", signed)]
        assert found[: len(expected)] == pytest.approx(expected, rel=0.02), (question, key)


def test_keys_in_words_come_out_too():
    for place in range(len(CAN_CHANGE["13.4"].numbers)):
        question, key = CAN_CHANGE["13.4"].with_numbers(place)
        assert bound(*numbers_in(question)) in key
    for a, b, ab, c, ac in CAN_CHANGE["02.3"].numbers:
        freq = {"hu": a, "##g": b, "##gs": c}
        scores = {"hu ##g": ab / (a * b), "hu ##gs": ac / (a * c)}
        key = CAN_CHANGE["02.3"].key(a, b, ab, c, ac)
        assert f"{max(scores, key=scores.get)} comes first" in key and min(freq.values()) >= max(ac, 1)
        assert all(f"{score:.3f}" in key for score in scores.values())
    for place in range(len(CAN_CHANGE["03.2"].numbers)):
        question, key = CAN_CHANGE["03.2"].with_numbers(place)
        assert key.startswith(layer_norm(*numbers_in(question)))
    for name, token in CAN_CHANGE["05.3"].numbers:
        count = exam_numbers.moved(name, token)
        size = next(number for number, word in exam_numbers.WORDS.items() if word == name)
        assert count.startswith(f"{int(masks.causal_mask(size)[:, token].sum())}:")
    for (name,) in CAN_CHANGE["05.1"].numbers:
        size = next(number for number, word in exam_numbers.WORDS.items() if word == name.lower())
        assert exam_numbers.looks(name).startswith(f"{int(masks.causal_mask(size).sum())}:")
    assert CAN_CHANGE.keys() == AGAIN.keys() | {"04.4", "05.1", "05.3"}


@pytest.mark.parametrize("seed", range(5))
def test_an_exam_asks_about_every_notebook_and_is_drawn_again_from_its_seed(seed):
    drawn = exam.draw(seed, 20)
    assert drawn == exam.draw(seed, 20) and len({number for number, *_ in drawn}) == 20
    assert {number[:2] for number, *_ in drawn} == {number[:2] for number in QUESTIONS}
    assert [number for number, *_ in drawn] == sorted(number for number, *_ in drawn)


def test_every_question_and_key_stands_alone():
    """They are drawn one by one, and with other numbers."""
    for text in (*QUESTIONS.values(), *KEYS.values()):
        assert not re.match(r"(The )?[Ss]ame\b", text) and not re.search(
            r"(?<![\d.])\d\d\.\d(?![\d.%])\s*[,)]", text
        )


def test_seeds_draw_different_exams_and_the_bank_can_be_drawn_whole():
    assert len({str(exam.draw(seed, 20)) for seed in range(20)}) == 20
    assert [number for number, *_ in exam.draw(0, len(QUESTIONS))] == list(QUESTIONS)
    changed = [q for number, q, _ in exam.draw(7, 60) if q != QUESTIONS[number]]
    assert len(changed) >= 8


def test_the_paper_holds_no_key_and_the_key_both(tmp_path):
    paper, key = (path.read_text(encoding="utf-8") for path in exam.write(7, 20, tmp_path))
    for number, question, answer in exam.draw(7, 20):
        assert quiz.inline(question) in paper and quiz.inline(question) in key
        assert f"<strong>{quiz.inline(answer)}</strong> ({number})" in key
        assert len(answer) < 12 or quiz.inline(answer) not in paper
    assert paper.count('class="room"') == 20 and "<strong>" not in paper
    assert "@page" in paper and "http" not in paper


def test_no_key_is_on_the_public_site(tmp_path, monkeypatch):
    """Neither the page, nor a key that says more than a number, on any page beside the notebooks."""
    monkeypatch.setattr(website.assets, "fetch", lambda name: tmp_path)
    (tmp_path / "es5").mkdir()
    (tmp_path / "es5" / "tex-svg.js").touch()
    website.gather(tmp_path / "source")
    pages = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "source").glob("*.md")}
    assert "exam_questions.md" in pages and "exam_keys.md" not in pages
    assert "exam_keys" not in pages["index.md"]
    assert not [name for name, text in pages.items() if re.search(r"\]\([^)]*exam_keys", text)]
    told = [key for key in KEYS.values() if len(key) > 40]
    assert len(told) > 20
    assert not [(name, key) for name, text in pages.items() for key in told if key in text]


def test_every_wrong_answer_stands_beside_what_is_said_of_it():
    from course_utils.exercises import masks
    from tools import misconceptions

    assert misconceptions.difference(masks.causal_mask, "transposed") == [
        "- return torch.ones(seq_len, seq_len, dtype=torch.bool).tril()",
        "+ return torch.ones(seq_len, seq_len, dtype=torch.bool).triu()",
    ]
    blocks = misconceptions.page().split("```diff\n")[1:]
    assert blocks
    for block in blocks:
        changed = block.split("\n```")[0].splitlines()
        assert changed
        assert {line[:2] for line in changed} <= {"- ", "+ "}


def test_list_of_misconceptions_is_the_one_that_the_exercises_make():
    from tools import misconceptions

    assert misconceptions.PAGE.read_text(encoding="utf-8") == misconceptions.page(), "run `make pages`"
