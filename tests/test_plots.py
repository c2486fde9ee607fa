"""Figures: that they cannot go without words, what they show, and that everybody can read them."""

import base64
import struct
from io import BytesIO
from itertools import combinations, pairwise

import matplotlib
import nbformat
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image
from sklearn.isotonic import IsotonicRegression

from course_utils.classroom import plots
from course_utils.classroom.plots import style
from course_utils.classroom.plots.cells import write_in_cell
from course_utils.classroom.plots.lines import spread
from course_utils.masks import bidirectional_mask, causal_mask, padding_mask

TOKENS = ["the", "bank", "was", "robbed", "yesterday"]
LONG = ["[CLS]", *TOKENS, "[SEP]", *TOKENS, *TOKENS, "[SEP]"]
CAUSAL = causal_mask(5)
FLOORS = {"unigram": 5.12, "bigram": 3.21, "left": 2.84, "bidirectional": 2.02}
MOMENTS = [
    (
        title,
        spread * np.random.default_rng(0).normal(size=(7, 5)) + tight * np.eye(4, 5)[[0, 0, 1, 1, 2, 2, 3]],
    )
    for title, spread, tight in [
        ("start", 0.01, 0),
        ("1 epoch", 0.1, 1),
        ("5 epochs", 0.1, 2),
        ("10 epochs", 0.1, 4),
    ]
]
GROUPS = {"money": "ab", "river": "cd", "kitchen": "ef"}
LOG = [{"step": step, "held_out": 2.1 + 4 * np.exp(-step / 120)} for step in range(25, 625, 25)]


def weights(n, mask=None, seed=0):
    scores = np.random.default_rng(seed).normal(size=(n, n))
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def gallery() -> dict[str, plots.Picture]:
    """One picture of every kind, the crowded ones too."""
    six = [
        ("all", bidirectional_mask(6)),
        ("causal", causal_mask(6)),
        ("padding", padding_mask([5], 6).expand(6, 6)),
    ]
    heads = [(f"head {i}", weights(7, seed=i)) for i in range(12)]
    return {
        "mask": plots.mask_grid(CAUSAL, TOKENS, "causal"),
        "masks": plots.mask_grids(six, [*TOKENS, "[PAD]"]),
        "long mask": plots.mask_grid(causal_mask(len(LONG)), LONG),
        "attention": plots.attention_grid(weights(5, CAUSAL), TOKENS, "head 1", CAUSAL),
        "long attention": plots.attention_grid(weights(len(LONG)), LONG),
        "heads": plots.attention_grids(heads, ["[CLS]", *TOKENS, "[SEP]"]),
        "moved": plots.moved_positions(
            {"all": [0.3, 0.1, 0.2, 1.1, 1e-7], "causal": [0, 0, 0, 1, 0.2]}, TOKENS, 3
        ),
        "loss": plots.loss_against_floors(LOG, FLOORS),
        "losses": plots.losses_over_steps(
            [25, 50, 100], {"causal": [[3, 2, 1.4]], "both ways": [[3, 1, 0.1]]}, {"best possible": 1.2}
        ),
        "bars": plots.bars(
            ["money", "cash"], {"model": [0.61, 0.2], "perfect model": [0.6, 0.22]}, title="to deposit"
        ),
        "bars and limits": plots.bars(
            ["one", "two"], {"loss": [1.5, 2]}, "nats", limits={"floor": 0.6, "all": 1}
        ),
        "intervals": plots.intervals(["one", "two"], [0.1, -0.3], [0.2, 0.1], "nats", "differences"),
        "roofline": plots.roofline({"add": (0.1, 2e9), "Linear": (50, 9e10)}, 1e11, 1e10),
        "similar": plots.similarities(
            np.random.default_rng(0).normal(size=(10, 16)), ["monday", "wednesday", *"abcdefgh"], "word rows"
        ),
        "heat": plots.heat_maps(
            [("nats", np.arange(12).reshape(3, 4) / 11), ("share", np.eye(3, 4) - 0.1)],
            ["layer 1", "layer 2", "layer 3"],
            [f"head {i}" for i in (1, 2, 3, 4)],
        ),
        "lengths": plots.row_lengths([0.6] * 23 + [0.23] * 105, 23, 0.226),
        "maps": plots.word_maps(MOMENTS, [*"abcdef", "bank"], GROUPS, "bank"),
        "points": plots.scatter([0, 1, 2, 3], [0.5, 0.8, 2.2, 2.9], "exact", "learnt", "all pairs"),
        "curves": plots.curves(
            [1, 4, 16], {"divided": [1, 0.9, 1.1], "raw": [1, 0.1, 1e-4]}, "d", "slope", log=True
        ),
        "reliable": plots.reliability({"as trained": ([0.55, 0.9, 0.95, 0.97], [0, 1, 0, 1])}, "300 reviews"),
        "spans": plots.span_scores([0.2, 1.1, 0.3, -1, 2.4], [-0.5, 2.6, 0.2, -1, 2.3], TOKENS, "sums"),
    }


NAMES = [
    "mask",
    "masks",
    "long mask",
    "attention",
    "long attention",
    "heads",
    "moved",
    "loss",
    "losses",
    "bars",
    "bars and limits",
    "curves",
    "intervals",
    "roofline",
    "similar",
    "heat",
    "lengths",
    "maps",
    "points",
    "reliable",
    "spans",
]


def texts(figure) -> list[Text]:
    """Everything written in a figure, drawn, so that extents are known."""
    figure.draw_without_rendering()
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def words(figure) -> list[str]:
    return [text.get_text() for text in texts(figure)]


def cell_texts(axes) -> list[list[str]]:
    """The texts in the cells, row by row."""
    rows, columns = axes.collections[0].get_array().shape
    table = [[""] * columns for _ in range(rows)]
    for text in axes.texts:
        x, y = text.get_position()
        if 0 <= y < rows:
            table[int(y)][int(x)] = text.get_text()
    return table


# --- Words


@pytest.mark.parametrize(
    ("alt", "complaint"),
    [
        ("", "alt is ''"),
        ("a loss curve", "20 characters"),
        (" " * 40, "20 characters"),
        (None, "alt is None"),
        ("Image of a loss curve that falls", "begins with 'image of'"),
        ("  picture of attention weights", "begins with 'picture of'"),
    ],
)
def test_a_figure_without_words_is_refused(alt, complaint):
    with pytest.raises(ValueError, match=complaint):
        plots.show(Figure(), alt)


def test_words_are_required_by_the_signature():
    with pytest.raises(TypeError):
        plots.Picture(Figure())
    with pytest.raises(TypeError):
        plots.show(Figure())


def test_outside_a_notebook_nothing_is_displayed(capsys):
    plots.show(Figure(), "An empty figure, twenty characters long")
    plots.LiveLoss()(LOG, FLOORS)
    assert capsys.readouterr() == ("", "")


def test_show_closes_a_pyplot_figure():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    figure = pyplot.figure()
    plots.show(figure, "An empty figure, twenty characters long")
    assert not pyplot.fignum_exists(figure.number)


NOTEBOOK_CELLS = [
    "from course_utils import plots\nplots.bars(['money', 'cash'], {'model': [0.6, 0.2]}).show()",
    "plots.bars(['money', '<b>'], {'model': [0.6, 0.2]})",
    """
live = plots.LiveLoss()
log = [{'step': step, 'held_out': 5 - step} for step in (1, 2, 3)]
for n in (1, 2, 3):
    live(log[:n], {'left': 2.5})
""",
    "live(log[:1], {'left': 2.5})",
    """
import matplotlib.pyplot as plt
with plots.house_style():
    figure, axes = plt.subplots()
plots.show(figure, 'Two empty axes and nothing else')
""",
]


@pytest.fixture(scope="module")
def notebook():
    cells = [nbformat.v4.new_code_cell(source) for source in NOTEBOOK_CELLS]
    content = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(content, timeout=120, kernel_name="python3").execute()
    nbformat.validate(content)
    return content


def test_every_picture_in_a_notebook_is_stored_with_its_words(notebook):
    for cell in notebook.cells:
        picture, in_words = cell.outputs  # one picture, not two, and its words
        alt = picture.metadata["image/png"]["alt"]
        assert picture.output_type == in_words.output_type == "display_data"
        assert len(alt) >= 20 and picture.data["text/plain"] == alt
        width, height = struct.unpack(">II", base64.b64decode(picture.data["image/png"])[16:24])
        shown = picture.metadata["image/png"]
        assert (shown["width"], shown["height"]) == (round(width / 1.5), round(height / 1.5))
        assert in_words.data["text/html"].startswith("<details><summary>The picture in words</summary>")


def test_words_are_escaped_in_html(notebook):
    assert "&lt;b&gt;: model 0.20" in notebook.cells[1].outputs[1].data["text/html"]


def test_live_loss_stays_in_one_place_and_starts_anew_for_a_new_run(notebook):
    run, new_run = notebook.cells[2].outputs, notebook.cells[3].outputs
    assert "to 2.00 at step 3" in run[0].metadata["image/png"]["alt"]
    assert "to 2.00 at step 3" in run[1].data["text/html"]
    assert "to 4.00 at step 1" in new_run[0].metadata["image/png"]["alt"]


@pytest.mark.parametrize("template", ["classic", "lab", "reveal"])
def test_html_pages_carry_the_words(notebook, template):
    page, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
    alt = "Bars of probability. money: model 0.60; cash: model 0.20."
    assert f"</summary>{alt}</details>" in page
    assert (f'alt="{alt}"' in page) == (
        template == "classic"
    )  # the other two do not read it: hence the words below


# --- For every reader


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_a_slide_and_a_notebook(gallery, name):
    data, metadata = gallery[name].outputs()[0]
    shown = metadata["image/png"]
    assert shown["width"] <= 96 * plots.MAX_WIDTH and shown["height"] <= 96 * plots.MAX_HEIGHT
    assert len(base64.b64decode(data["image/png"])) <= 45_000


@pytest.mark.parametrize("name", NAMES)
def test_letters_are_large_and_dark_enough(gallery, name):
    for text in texts(gallery[name].figure):
        assert text.get_size() >= 9, text.get_text()
        if not in_cell(text):
            assert contrast(text.get_color(), plots.PAPER) >= 4.5, text.get_text()


def in_cell(text) -> bool:
    """Whether a text stands on a cell; those are tested against the colour of their cell."""
    axes = text.axes
    return bool(axes and axes.collections and text in axes.texts and text.get_position()[1] >= 0)


@pytest.mark.parametrize("name", ["attention", "moved"])
def test_numbers_in_cells_stand_out(gallery, name):
    for axes in gallery[name].figure.axes:
        mesh = axes.collections[0]
        fills = mesh.to_rgba(mesh.get_array())
        for text in filter(in_cell, axes.texts):
            x, y = (int(part) for part in text.get_position())
            assert contrast(text.get_color(), fills[y, x, :3]) >= 4.5


@settings(max_examples=30)
@given(st.floats(0, 1))
def test_a_number_stands_out_on_every_shade(shade):
    axes = Figure().add_subplot()
    write_in_cell(axes, 0, 0, "0.00", plots.HEAT(shade))
    assert contrast(axes.texts[0].get_color(), plots.HEAT(shade)[:3]) >= 4.5


@pytest.mark.parametrize("name", NAMES)
def test_no_two_texts_overlap(gallery, name):
    figure = gallery[name].figure
    upright_or_level = [text for text in texts(figure) if text.get_rotation() % 90 == 0]
    boxes = [(text.get_text(), extent(text)) for text in upright_or_level]
    for (first, a), (second, b) in combinations(boxes, 2):
        assert not a.padded(-2).overlaps(b.padded(-2)), (first, second)


def extent(text):
    """The room of the letters alone, without the line that an annotation draws."""
    return Text.get_window_extent(text)


def test_colours_differ_in_greyscale_and_stand_out_from_paper():
    lightness = [lab(to_rgb(colour))[0] for colour in [plots.INK, *plots.COLOURS.values()]]
    assert all(abs(first - second) >= 9 for first, second in combinations(lightness, 2))
    assert all(contrast(colour, plots.PAPER) >= 3 for colour in plots.COLOURS.values())  # WCAG 2.2, 1.4.11


# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0; they act on linear RGB.
COLOUR_BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


@pytest.mark.parametrize("kind", COLOUR_BLINDNESS)
def test_colours_differ_to_colour_blind_eyes(kind):
    seen = [
        lab_of_linear(np.clip(np.array(COLOUR_BLINDNESS[kind]) @ linear(to_rgb(colour)), 0, 1))
        for colour in plots.COLOURS.values()
    ]
    assert all(np.linalg.norm(first - second) >= 15 for first, second in combinations(seen, 2))


def test_darkness_grows_in_equal_steps():
    steps = np.diff([lab(plots.HEAT(x)[:3])[0] for x in np.linspace(0, 1, 21)])
    assert steps.max() < 0 and steps.max() - steps.min() < 0.2 * abs(steps.mean())


def linear(rgb) -> np.ndarray:
    rgb = np.asarray(rgb, dtype=float)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(first, second) -> float:
    """WCAG 2.2, contrast ratio."""
    low, high = sorted(float(linear(to_rgb(colour)) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def lab(rgb) -> np.ndarray:
    return lab_of_linear(linear(rgb))


def lab_of_linear(rgb) -> np.ndarray:
    """CIE L*, a*, b* under D65; distances of about 2 are just visible."""
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.072175],
        [0.0193339, 0.119192, 0.9503041],
    ]
    x, y, z = (
        np.cbrt(part) if part > 0.008856 else 7.787 * part + 16 / 116
        for part in np.array(to_xyz) @ rgb / [0.95047, 1, 1.08883]
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# --- Files


def test_bytes_are_stable_whatever_the_reader_has_set():
    first = plots.mask_grid(CAUSAL, TOKENS).png()
    with matplotlib.rc_context(
        {"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 30, "text.color": "red"}
    ):
        assert plots.mask_grid(CAUSAL, TOKENS).png() == first


def test_png_says_nothing_of_its_making_and_keeps_its_colours():
    picture = plots.attention_grid(weights(5), TOKENS)
    png = picture.png()
    assert not {b"tEXt", b"zTXt", b"iTXt", b"tIME"} & {png[i : i + 4] for i in range(len(png) - 3)}
    buffer = BytesIO()
    with plots.house_style():
        picture.figure.savefig(buffer, dpi=144, facecolor=plots.PAPER, bbox_inches="tight", pad_inches=0.12)
    full, stored = (
        np.asarray(Image.open(file).convert("RGB")).astype(int) for file in (buffer, BytesIO(png))
    )
    assert np.abs(full - stored).max() <= 8  # of 255


def test_house_style_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    plots.bars(["money"], {"model": [0.5]}).png()
    assert dict(matplotlib.rcParams) == before


# --- What they show


@settings(max_examples=10)
@given(
    st.integers(1, 8).flatmap(
        lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=n, max_size=n)
    )
)
def test_mask_grid_has_a_dot_where_a_look_is_allowed(mask):
    picture = plots.mask_grid(torch.tensor(mask), [f"t{i}" for i in range(len(mask))])
    [axes] = picture.figure.axes
    columns, rows = axes.lines[0].get_data()
    dots = {(int(row), int(column)) for row, column in zip(rows, columns, strict=True)}
    assert dots == {(i, j) for i, row in enumerate(mask) for j, allowed in enumerate(row) if allowed}
    assert axes.lines[0].get_marker() == "o" and axes.yaxis_inverted()
    assert f"{len(dots)} of {len(mask) ** 2} pairs allowed" in picture.alt


def test_mask_grid_names_its_axes_and_tokens():
    picture = plots.mask_grid(CAUSAL, TOKENS, "causal")
    assert {"token that attends", "token attended to", "causal", *TOKENS} <= set(words(picture.figure))
    assert any("may not attend" in text for text in words(picture.figure))
    assert [label.get_text() for label in picture.figure.axes[0].get_xticklabels()] == TOKENS
    assert (
        picture.alt
        == "causal: 15 of 25 pairs allowed: 'the' to 'the'; 'bank' to 'the', 'bank'; 'was' to all but"
        " 'robbed', "
        "'yesterday'; 'robbed' to all but 'yesterday'; 'yesterday' to all."
    )


def test_words_tell_equal_tokens_apart():
    alt = plots.mask_grid(causal_mask(3), ["the", "cat", "the"]).alt
    assert "'the' (position 0) to 'the' (position 0)" in alt and "'the' (position 2) to all" in alt


def test_attention_grid_prints_its_weights():
    table = torch.tensor(weights(5), requires_grad=True)
    picture = plots.attention_grid(table, TOKENS)
    [axes] = picture.figure.axes  # numbers, so no bar
    assert cell_texts(axes) == [[f"{value:.2f}" for value in row] for row in table.tolist()]
    np.testing.assert_array_equal(axes.collections[0].get_array(), table.detach().numpy())
    for i, row in enumerate(table.tolist()):
        assert f"'{TOKENS[i]}' to '{TOKENS[int(np.argmax(row))]}' ({max(row):.2f})" in picture.alt


def test_attention_grid_hatches_what_is_masked_and_zero_and_shows_a_leak():
    table = weights(5, CAUSAL)
    table[0] = [0.75, 0, 0, 0, 0.25]  # a leak to the last token
    [axes] = plots.attention_grid(table, TOKENS, mask=CAUSAL).figure.axes
    hatched = {(int(patch.get_y()), int(patch.get_x())) for patch in axes.patches if patch.get_hatch()}
    assert hatched == {(i, j) for i in range(5) for j in range(i + 1, 5)} - {(0, 4)}
    printed = cell_texts(axes)
    assert printed[0] == ["0.75", "", "", "", "0.25"]
    assert all((printed[i][j] == "") == ((i, j) in hatched) for i in range(5) for j in range(5))


def test_without_a_mask_nothing_is_hatched():
    [axes] = plots.attention_grid(np.eye(5), TOKENS).figure.axes
    assert not axes.patches and cell_texts(axes)[0] == ["1.00", "0.00", "0.00", "0.00", "0.00"]


def test_many_tokens_get_a_bar_in_place_of_numbers(gallery):
    axes, bar = gallery["long attention"].figure.axes
    assert not axes.texts and bar.get_ylabel() == "attention weight"
    assert gallery["long attention"].alt.startswith("Attention: strongest from ")


def test_attention_grids_share_one_scale(gallery):
    *panels, _ = gallery["heads"].figure.axes
    assert [axes.get_title() for axes in panels] == [f"head {i}" for i in range(12)]
    highest = max(weights(7, seed=i).max() for i in range(12))
    assert {axes.collections[0].get_clim() for axes in panels} == {(0, highest)}


def test_a_row_of_attention_weights_can_have_a_frame():
    picture = plots.attention_grids([("a", weights(5)), ("b", weights(5, seed=1))], TOKENS, outlined=3)
    panels = [axes for axes in picture.figure.axes if axes.get_title()]
    frames = [[patch.get_bbox().bounds for patch in axes.patches] for axes in panels]
    assert frames == [[(0, 3, 5, 1)]] * 2
    assert picture.alt.endswith(" In a frame: the row of 'robbed'.")
    assert not plots.attention_grids([("a", weights(5))], TOKENS).figure.axes[0].patches
    with pytest.raises(ValueError, match="outlined: expected 0 to 4, got 5"):
        plots.attention_grids([("a", weights(5))], TOKENS, outlined=5)


def test_of_equal_weights_the_words_name_the_first_on_every_machine():
    noise = 1e-9 * np.random.default_rng(0).normal(size=(5, 5))
    assert (
        plots.attention_grid(0.2 + noise, TOKENS).alt
        == plots.attention_grid(np.full((5, 5), 0.2), TOKENS).alt
    )


def test_moved_positions_separates_the_smallest_move_from_none():
    picture = plots.moved_positions(
        {"all": [0.3, 1e-9, 0.2, 1.1, 0.4], "causal": [0, 0, 0, 1, 0.25]}, TOKENS, 3
    )
    [axes] = picture.figure.axes
    same = "same\nbits"
    assert cell_texts(axes) == [
        ["moved\n0.30", "moved\n1e-09", "moved\n0.20", "moved\n1.10", "moved\n0.40"],
        [same, same, same, "moved\n1.00", "moved\n0.25"],
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all", "causal"]
    [frame] = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert (frame.get_x(), frame.get_width()) == (3, 1) and "replaced" in words(picture.figure)
    assert picture.alt.endswith("causal: moved 'robbed' by 1.00, 'yesterday' by 0.25; "
                                "the same to the last bit 'the', 'bank', 'was'.")  # fmt: skip


def test_loss_is_drawn_above_its_floors():
    picture = plots.loss_against_floors(LOG, FLOORS, last_step=800)
    [axes] = picture.figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    for rung, floor in FLOORS.items():
        assert set(lines[rung].get_ydata()) == {floor}
        assert f"{rung} floor {floor:.2f}" in words(picture.figure)
    np.testing.assert_array_equal(lines["held-out"].get_xdata(), [entry["step"] for entry in LOG])
    np.testing.assert_array_equal(lines["held-out"].get_ydata(), [entry["held_out"] for entry in LOG])
    assert lines["held-out"].get_marker() == "o"
    assert (
        axes.get_xlabel() == "step"
        and axes.get_ylabel() == "held-out loss (nats)"
        and axes.get_xlim()[1] == 800
    )
    assert "from 5.35 nats at step 25 to 2.13 at step 600" in picture.alt.replace("goes ", "")
    assert picture.alt.endswith("below the unigram floor, the bigram floor, the left floor.")


def test_floors_differ_by_their_dashes_alone():
    figure = plots.loss_against_floors(LOG[-1:], FLOORS).figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].mean(axis=2)
    left, right = (
        round(figure.axes[0].get_window_extent().x0) + 5,
        round(figure.axes[0].get_window_extent().x1) - 30,
    )
    heights = [round(figure.axes[0].transData.transform((0, floor))[1]) for floor in FLOORS.values()]
    gaps = [int((np.diff(pixels[len(pixels) - y, left:right] < 200) != 0).sum()) // 2 for y in heights]
    assert all(abs(first - second) >= 5 for first, second in combinations(gaps, 2)), gaps


@settings(max_examples=15)
@given(st.lists(st.floats(0.1, 8), min_size=4, max_size=4), st.floats(0.1, 8))
@example([1.0] * 4, 1.0)
@example([1.0] * 4, np.nextafter(1, 2))  # apart by less than the distance of the names, in any unit
@example([8.0] * 4, np.nextafter(8, 0))
@example([4.0] * 4, 3.0)  # all names want to stand at the upper end
@example([2.0, 2.0, 2.0, 2.001], 2.0)
@example([0.1] * 4, 8.0)
def test_names_of_lines_never_overlap(floors, loss):
    named = dict(zip(FLOORS, floors, strict=True))
    figure = plots.loss_against_floors([{"step": 10, "held_out": loss}], named).figure
    figure.draw_without_rendering()
    boxes = sorted((extent(text) for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 5
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))
    assert boxes[0].y0 >= 0 and boxes[-1].y1 <= figure.bbox.height
    [low, high] = figure.axes[0].get_ylim()
    assert all(low <= value <= high for value in [*floors, loss])


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=8),
    st.floats(0.01, 3),
    st.sampled_from([(-np.inf, np.inf), (-11, 11), (0, 40), (-30, 2)]),
)
def test_spread_moves_labels_as_little_as_possible(places, gap, within):
    """The least sum of squared moves under a least distance is isotonic regression of place - rank * gap."""
    order = np.argsort(places, kind="stable")
    ranks = np.arange(len(places))
    least, most = within[0], within[1] - gap * ranks[-1]
    expected = IsotonicRegression(y_min=least, y_max=most).fit_transform(
        ranks, np.array(places)[order] - gap * ranks
    )
    found = np.array(spread(places, gap, within))[order]
    np.testing.assert_allclose(found, expected + gap * ranks, atol=1e-6)


def test_three_series_of_bars_stand_apart_and_have_room_for_their_numbers():
    series = {"own": [0.6] * 6, "others": [0.9] * 6, "limit": [1.0] * 6}
    picture = plots.bars([*"abcdef"], series)
    [axes] = picture.figure.axes
    first = [container[0] for container in axes.containers]
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in first}) == 3
    ends = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in first]
    assert all(end < start for (_, end), (start, _) in pairwise(ends))
    boxes = [
        text.get_window_extent() for text in texts(picture.figure) if text.get_text() in ("0.60", "0.90")
    ]
    assert len(boxes) == 12 and not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_bars_are_as_long_as_their_values():
    picture = plots.bars(
        ["money", "cash", "river"], {"model": [0.6, 0.2, 0], "perfect": [0.5, 0.25, 0.1]}, title="to deposit"
    )
    [axes] = picture.figure.axes
    model, perfect = ([bar.get_width() for bar in container] for container in axes.containers)
    assert model == [0.6, 0.2, 0] and perfect == [0.5, 0.25, 0.1]
    assert axes.containers[1][0].get_hatch() and not axes.containers[0][0].get_hatch()
    assert {"0.60", "0.25", "model", "perfect", "probability", "to deposit"} <= set(words(picture.figure))
    assert axes.yaxis_inverted() and [label.get_text() for label in axes.get_yticklabels()] == [
        "money",
        "cash",
        "river",
    ]
    assert picture.alt.startswith("to deposit. Bars of probability. money: model 0.60, perfect 0.50; cash")


# --- What they refuse


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: plots.mask_grid(causal_mask(4), TOKENS), r"mask: expected the shape .* got \(4, 4\)"),
        (
            lambda: plots.attention_grid(weights(5)[None], TOKENS),
            r"weights: expected the shape .* got \(1, 5, 5\)",
        ),
        (lambda: plots.attention_grid(np.full((5, 5), np.nan), TOKENS), "weights: expected finite numbers"),
        (
            lambda: plots.attention_grids([("a", weights(5)), ("b", weights(5))], TOKENS, [CAUSAL]),
            "masks: expected one for each of 2 .* got 1",
        ),
        (lambda: plots.attention_grids([], TOKENS), "grids: expected one or more"),
        (lambda: plots.mask_grid(causal_mask(80), ["token"] * 80), "draw fewer"),
        (lambda: plots.moved_positions({"all": [0.1] * 5}, TOKENS, 5), "changed: expected 0 to 4, got 5"),
        (lambda: plots.moved_positions({"all": [0.1] * 4}, TOKENS, 0), "5 amounts"),
        (lambda: plots.moved_positions({"all": [-0.1] * 5}, TOKENS, 0), "amounts from 0"),
        (lambda: plots.moved_positions({"all": [float("nan")] * 5}, TOKENS, 0), "amounts from 0"),
        (lambda: plots.moved_positions({}, TOKENS, 0), "differences: expected one mask or more"),
        (lambda: plots.loss_against_floors([], FLOORS), "log: expected entries"),
        (lambda: plots.loss_against_floors(LOG, FLOORS, key="mlm_loss"), "'mlm_loss'"),
        (lambda: plots.loss_against_floors(LOG, {}), "floors: expected 1 to 4 entries, got 0"),
        (lambda: plots.bars(["money"], {"model": [0.1, 0.2]}), "a value from 0 for each of 1 labels"),
        (lambda: plots.bars(["money"], {}), "series: expected .* got 0"),
        (lambda: plots.bars(["money"], {name: [0.1] for name in "abcd"}), "series: expected .* got 4"),
        (lambda: plots.bars(["word"] * 40, {"model": [0.1] * 40}), "labels: expected .* got 40"),
    ],
)
def test_refusals_name_the_argument(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()


# --- Pieces


CUTS = {
    "letters": ["c", "##a", "##t", "s", "##a", "##t"],
    "vocabulary of 30": ["ca", "##t", "sat"],
    "words": ["cat", "sat"],
}


def test_cut_rows_draws_a_box_for_each_piece_and_boxes_of_one_word_touch():
    axes = plots.cut_rows(CUTS).figure.axes[0]
    rows = {name: [] for name in CUTS}
    for box in axes.patches:
        rows[list(CUTS)[int(box.get_y())]].append((box.get_x(), box.get_x() + box.get_width()))
    assert rows["letters"] == [(0, 1), (1, 3.25), (3.25, 5.5), (6.5, 7.5), (7.5, 9.75), (9.75, 12)]
    assert rows["vocabulary of 30"] == [(0, 2), (2, 4.25), (5.25, 8.25)]
    assert rows["words"] == [(0, 3), (4, 7)]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "letters: 6",
        "vocabulary of 30: 3",
        "words: 2",
    ]


def test_cut_rows_is_legible_and_says_all_in_words():
    sentence = "the bank was robbed"
    letters = [
        letter if i == 0 else "##" + letter for word in sentence.split() for i, letter in enumerate(word)
    ]
    picture = plots.cut_rows({"letters": letters, "words": sentence.split()})
    assert "letters: 16 pieces, t ##h ##e b " in picture.alt and "words: 4 pieces, the bank" in picture.alt
    boxes = [extent(text).padded(-1) for text in texts(picture.figure)]
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    assert all(text.get_size() >= 9 for text in texts(picture.figure))
    width, _ = picture.figure.get_size_inches()
    assert width <= plots.MAX_WIDTH


@pytest.mark.parametrize(
    "cuts", [{}, {"empty": []}, {"long": ["a"] * 200}, {str(i): ["a"] for i in range(20)}]
)
def test_cut_rows_refuses_what_has_no_room(cuts):
    with pytest.raises(ValueError, match="cuts"):
        plots.cut_rows(cuts)


# --- The rows of tables


def test_similarities_are_cosines_and_the_words_name_the_closest_pair():
    table = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, -2.0]])
    picture = plots.similarities(table, ["a", "b", "c"], "rows")
    [axes] = picture.figure.axes
    assert cell_texts(axes) == [
        ["1.00", "0.60", "0.00"],
        ["0.60", "1.00", "-0.80"],
        ["0.00", "-0.80", "1.00"],
    ]
    assert (
        picture.alt.startswith("rows. Cosines") and "Most alike: 'a' and 'b' 0.60, 'a' and 'c'" in picture.alt
    )
    for table, complaint in [(torch.zeros(3, 2), "all zero"), (torch.ones(2, 2), "3 names")]:
        with pytest.raises(ValueError, match=complaint):
            plots.similarities(table, ["a", "b", "c"])


def test_a_constant_and_a_function_are_lines_without_markers():
    series = {"measured": [1, 2, 4], "limit": [3, 3, 3]}
    for marks, expected in ((True, ["o", ""]), (False, ["", ""])):
        [axes] = plots.curves([0, 1, 2], series, "x", "y", marks=marks).figure.axes
        assert [line.get_marker() for line in axes.lines] == expected


def test_row_lengths_draws_every_row_and_says_where_training_ended():
    picture = plots.row_lengths([0.9, 0.7, 0.2, 0.25], used=2, fresh=0.226)
    [axes] = picture.figure.axes
    assert axes.lines[0].get_ydata().tolist() == [0.9, 0.7, 0.2, 0.25]
    assert axes.lines[2].get_xdata() == [1.5, 1.5]
    assert "first 2 have lengths from 0.70 to 0.90; the other 2 lie between 0.20 and 0.25" in picture.alt
    with pytest.raises(ValueError, match="used: expected 1 to 3.* got 4"):
        plots.row_lengths([0.9, 0.7, 0.2, 0.25], used=4, fresh=0.226)


# --- Maps of words, and points beside a line


def test_word_maps_show_all_moments_in_the_plane_of_the_last_middles():
    picture = plots.word_maps(MOMENTS, [*"abcdef", "bank"], GROUPS, "bank")
    drawn = [np.concatenate([line.get_xydata() for line in axes.lines]) for axes in picture.figure.axes]
    assert [len(points) for points in drawn] == [7, 7, 7, 7]
    flat, full = drawn[-1][:6].reshape(3, 2, 2).mean(axis=1), MOMENTS[-1][1][:6].reshape(3, 2, 5).mean(axis=1)
    for i, j in combinations(range(3), 2):  # three middles lie in a plane, so their distances survive
        assert np.linalg.norm(flat[i] - flat[j]) == pytest.approx(np.linalg.norm(full[i] - full[j]))
    assert np.ptp(drawn[0], axis=0).max() < 0.1
    assert np.ptp(drawn[-1], axis=0).max() > 2
    assert len({axes.get_xlim() for axes in picture.figure.axes}) == 1
    within = np.linalg.norm(drawn[-1][:2] - flat[0], axis=1).mean()
    distance = np.linalg.norm(drawn[-1][-1] - flat[0])
    assert (
        f"10 epochs: money within {within:.1f} of its middle, 'bank' {distance:.1f} from it; river"
        in picture.alt
    )


def test_word_maps_name_the_ends_of_each_group_in_the_last_panel():
    picture = plots.word_maps(MOMENTS, [*"abcdef", "bank"], GROUPS, "bank")
    *before, last = picture.figure.axes
    assert not any(axes.texts for axes in before)
    assert sorted(text.get_text() for text in last.texts) == [*"abcdef"]
    heights = dict(zip("abcdef", np.concatenate([line.get_ydata() for line in last.lines]), strict=False))
    for text in last.texts:
        [group] = [group for group in GROUPS.values() if text.get_text() in group]
        above = heights[text.get_text()] == max(heights[word] for word in group)
        assert (text.xyann[1] > 0) == above


def test_word_maps_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match="words: expected .* got none such as z"):
        plots.word_maps(MOMENTS, [*"abcdef", "bank"], GROUPS | {"money": "abz"}, "bank")
    with pytest.raises(ValueError, match="panels and groups: .* got 5 and 3"):
        plots.word_maps([*MOMENTS, MOMENTS[0]], [*"abcdef", "bank"], GROUPS, "bank")
    with pytest.raises(ValueError, match="got 4 and 2"):
        plots.word_maps(MOMENTS, [*"abcdef", "bank"], {"money": "abc", "river": "def"}, "bank")


def test_scatter_has_one_scale_and_names_the_correlation():
    x, y = [0, 1, 2, 3], [0.5, 0.8, 2.2, 2.9]
    picture = plots.scatter(x, y, "exact", "learnt", "all pairs")
    (axes,) = picture.figure.axes
    assert axes.get_xlim() == axes.get_ylim() and axes.lines[0].get_xydata().tolist() == [
        list(p) for p in zip(x, y, strict=True)
    ]
    assert (
        f"Correlation {np.corrcoef(x, y)[0, 1]:.2f}" in picture.alt
        and "4 points: learnt over exact" in picture.alt
    )
    nearly_0 = plots.scatter([-1e-17, 1], [-0.04, 2], "exact", "learnt").alt
    assert nearly_0.endswith("x from 0.0 to 1.0, y from 0.0 to 2.0.")
    with pytest.raises(ValueError, match="x and y: expected .* got 4 and 3"):
        plots.scatter(x, y[:3], "exact", "learnt")


def test_scatter_rings_the_points_that_are_marked():
    x, y = [0, 1, 2, 3], [0.5, 0.8, 2.2, 2.9]
    picture = plots.scatter(
        x, y, "exact", "learnt", marked={"odd": [False, True, False, True], "none": [0] * 4}
    )
    (axes,) = picture.figure.axes
    assert axes.lines[1].get_xydata().tolist() == [[1, 0.8], [3, 2.9]]
    assert (
        "Ringed, odd: 2 points, x from 1.0 to 3.0, y from 0.8 to 2.9. Ringed, none: 0 points." in picture.alt
    )
    with pytest.raises(ValueError, match="marked.*4 points, got 3"):
        plots.scatter(x, y, "exact", "learnt", marked={"odd": [True] * 3})


# --- Lines over one x


def test_curves_read_out_what_is_0_but_for_rounding_as_0():
    """What a processor leaves of a 0 is its own affair, and must not stand in a stored text."""
    picture = plots.curves([-1.0, 5e-17, 1.0], {"a": [-0.3, -5.55e-17, 0.3]}, "x", "y")
    assert picture.alt.endswith("a: -0.3 at -1, 0 at 0, 0.3 at 1.")


def test_curves_go_through_their_points_and_say_them():
    picture = plots.curves(
        [1, 2, 4], {"a": [3, 2, 1], "b": [1, 10, 100]}, "size", "time", title="Cost", log=True
    )
    [axes] = picture.figure.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[3, 2, 1], [1, 10, 100]]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert {"a", "b", "size", "time", "Cost"} <= set(words(picture.figure))
    assert (
        picture.alt
        == "Cost. Lines of time over size. a: 3 at 1, 2 at 2, 1 at 4; b: 1 at 1, 10 at 2, 100 at 4."
    )
    [axes] = plots.curves([0, 1], {"a": [-1, 1]}, "x", "y").figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")
    [axes] = plots.curves([0, 1], {"a": [1e-9, 1]}, "x", "y", log="y").figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    [axes] = plots.curves([2, 4, 8], {"a": [-1, 0, 1]}, "x", "y", log="x").figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "8"]
    [axes] = plots.curves([2, 4], {"a": [0, 1]}, "x", "y", log="x", ticks=["few", "many"]).figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["few", "many"]
    for nearly_0 in (-2.8e-16, 0.0, -0.0, 2.8e-16):
        alt = plots.curves([-5, nearly_0, 5], {"a": [1, 1e-12, 2]}, "x", "y").alt
        assert alt == "Lines of y over x. a: 1 at -5, 1e-12 at 0, 2 at 5."


@pytest.mark.parametrize(
    ("x", "series", "complaint"),
    [
        ([1, 2], {}, "series: expected .* got 0"),
        ([2, 1], {"a": [1, 2]}, "x: expected two numbers"),
        ([1, 2], {"a": [1, 2, 3]}, "a finite number for each of 2 x"),
        ([1, 2], {"a": [1, 0]}, "above 0"),
    ],
)
def test_curves_refuse_what_cannot_be_drawn(x, series, complaint):
    with pytest.raises(ValueError, match=complaint):
        plots.curves(x, series, "x", "y", log=True)
    with pytest.raises(ValueError, match="above 0"):
        plots.curves([0, 1], {"a": [1, 1]}, "x", "y", log="x")
    with pytest.raises(ValueError, match="ticks: expected a text for each of 2 x"):
        plots.curves([0, 1], {"a": [1, 1]}, "x", "y", ticks=["0"])


# --- Bars


def test_a_limit_beyond_the_longest_bar_is_in_the_picture():
    [axes] = plots.bars(["one", "two"], {"recall": [0.1, 0.2]}, "recall", limits={"best": 0.5}).figure.axes
    assert axes.get_xlim()[0] == 0 and axes.get_xlim()[1] > 0.5


# --- Intervals


def test_a_second_interval_is_drawn_and_told_and_is_no_narrower():
    picture = plots.intervals(["gate"], [0.25], [0.5], "nats", wider=[1.0])
    assert "from -0.25 to +0.75, thin from -0.75 to +1.25" in picture.alt
    assert len(picture.figure.axes[0].containers) == 2
    with pytest.raises(ValueError, match="wider: expected a number at least as large"):
        plots.intervals(["gate"], [0.25], [0.5], "nats", wider=[0.4])


def test_intervals_reach_as_far_as_they_say():
    picture = plots.intervals(["gate", "window"], [0.25, -0.5], [0.5, 0.25], "nats")
    [axes] = picture.figure.axes
    [bars] = [each for each in axes.collections if len(each.get_segments()) == 2]
    assert [segment.tolist() for segment in bars.get_segments()] == [
        [[-0.25, 0], [0.75, 0]],
        [[-0.75, 1], [-0.25, 1]],
    ]
    assert picture.alt == (
        "Intervals of nats, and a line at 0. gate: +0.25, from -0.25 to +0.75; "
        "window: -0.50, from -0.75 to -0.25."
    )


@pytest.mark.parametrize(
    ("labels", "middles", "halves", "complaint"),
    [
        ([], [], [], "1 or more"),
        (["a"], [1, 2], [1, 2], "for each of 1 labels"),
        (["a"], [1], [0], "above 0"),
        ([str(i) for i in range(40)], [1] * 40, [1] * 40, "labels: expected .* got 40"),
    ],
)
def test_intervals_refuse_what_cannot_be_drawn(labels, middles, halves, complaint):
    with pytest.raises(ValueError, match=complaint):
        plots.intervals(labels, middles, halves, "nats")


# --- Dates


def test_timeline_puts_names_at_their_dates_and_apart():
    events = [("BERT", 2018 + 9 / 12), ("ELMo", 2018 + 1 / 12), ("word2vec", 2013.0)]
    picture = plots.timeline(events, "Dates")
    assert picture.alt == "Dates. A line of years. In order: word2vec 2013-01; ELMo 2018-02; BERT 2018-10."
    [axes] = picture.figure.axes
    [dots] = axes.lines
    assert dots.get_xdata() == pytest.approx([2013, 2018 + 1 / 12, 2018.75])
    picture.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    with pytest.raises(ValueError, match="events: expected 1 to 30, got 0"):
        plots.timeline([])


# --- Learning from few examples


def test_learning_curves_show_mean_and_spread():
    scores = {"bag": [[0.5, 0.6, 0.7], [0.8, 0.8, 0.8]], "tuned": [[0.4, 0.5, 0.6], [0.9, 1.0, 0.8]]}
    picture = plots.learning_curves([10, 100], scores, "accuracy", ("coin", 0.5), "Rivals")
    assert (
        picture.alt
        == "Rivals. Lines of accuracy over the number of labelled examples, with the lowest and highest"
        " seed. "
        "bag: 0.60 (0.50 to 0.70) at 10, 0.80 (0.80 to 0.80) at 100; "
        "tuned: 0.50 (0.40 to 0.60) at 10, 0.90 (0.80 to 1.00) at 100. A dotted line: coin, 0.5."
    )
    [axes] = picture.figure.axes
    assert axes.get_xscale() == "log"
    drawn = [container.lines[0].get_ydata() for container in axes.containers]
    assert np.allclose(drawn, [[0.6, 0.8], [0.5, 0.9]])
    ends = [container.lines[2][0].get_segments()[0][:, 1] for container in axes.containers]
    assert np.allclose(ends, [[0.5, 0.7], [0.4, 0.6]])


@pytest.mark.parametrize(
    ("sizes", "scores", "complaint"),
    [
        ([100, 10], {"a": [[1], [1]]}, "sizes: expected two numbers"),
        ([0, 10], {"a": [[1], [1]]}, "sizes: expected two numbers"),
        ([1, 10], {}, "scores: expected 1 to 4 entries, got 0"),
        ([1, 10], {"a": [1, 2]}, "got the shape"),
        ([1, 10], {"a": [[1], [float("nan")]]}, "got the shape"),
    ],
)
def test_learning_curves_refuse_what_cannot_be_drawn(sizes, scores, complaint):
    with pytest.raises(ValueError, match=complaint):
        plots.learning_curves(sizes, scores, "accuracy", ("coin", 0.5))


# --- How sure, how right; and the spans of an answer


def test_reliability_puts_a_point_at_each_bin_that_holds_something():
    picture = plots.reliability({"model": ([0.62, 0.68, 0.95], [True, False, True])}, "three")
    assert "model: says 0.65, is right 0.50 (2 guesses), says 0.95, is right 1.00 (1 guesses)" in picture.alt
    [axes] = picture.figure.axes
    assert np.allclose(axes.lines[1].get_xdata(), [0.65, 0.95])
    for series in ({}, {"a": ([0.5], [1, 0])}, {"a": ([], [])}, {"a": ([1.5], [1])}):
        with pytest.raises(ValueError, match="series"):
            plots.reliability(series)


def test_span_scores_frame_the_best_span_that_does_not_end_before_it_starts():
    picture = plots.span_scores([0.0, 1.0, 3.0], [5.0, 1.0, 2.0], ["a", "b", "c"])
    [axes] = picture.figure.axes
    [frame] = axes.patches
    assert frame.get_xy() == (0, 0)  # from a to a, 5.0; from c to a would have 8.0
    assert picture.alt.startswith(
        "Sums of start and end score for every span of 3 tokens. The highest: 'a' 5.0"
    )
    assert [text.get_text() for text in axes.texts].count("\u00b7") == 3
    for start, end in (([1.0], [1.0]), ([1.0, 2.0], [1.0])):
        with pytest.raises(ValueError, match="start and end"):
            plots.span_scores(start, end, ["a", "b"][: len(start)])


# --- The roofline


def test_roofline_bends_at_the_ridge_and_says_on_which_side_each_point_lies():
    picture = plots.roofline(
        {"add": (0.1, 2e9), "Linear": (50, 9e10)}, peak=1e11, bandwidth=1e10, title="Roof"
    )
    (axes,) = picture.figure.axes
    roof = axes.lines[0].get_xydata()
    assert (
        roof[1].tolist() == [10, 100] and roof[2, 1] == 100 and roof[0, 1] == pytest.approx(10 * roof[0, 0])
    )
    assert {"add", "Linear", "Roof", "ridge 10.0"} <= set(words(picture.figure))
    sides = {text.get_text(): text for text in axes.texts}
    assert sides["memory-bound"].get_ha() == "right" and sides["compute-bound"].get_ha() == "left"
    assert "add: 2 GFLOP/s at 0.1 FLOP/byte, left of the ridge" in picture.alt
    assert "Linear: 90 GFLOP/s at 50 FLOP/byte, right of the ridge" in picture.alt


@pytest.mark.parametrize(
    ("points", "peak"),
    [({}, 1.0), ({"a": (0.0, 1.0)}, 1.0), ({"a": (1.0, 1.0)}, 0.0), ({"a": (1.0, float("inf"))}, 1.0)],
)
def test_roofline_refuses_what_cannot_be_drawn(points, peak):
    with pytest.raises(ValueError, match="1 to 8"):
        plots.roofline(points, peak, 1.0)


# --- Labelled points


def test_point_maps_draw_every_point_in_the_plane_of_its_panel():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(30, 5)) * [9, 4, 0.1, 0.1, 0.1] + 50
    labels = ["left" if vector[0] < 50 else "right" for vector in vectors]
    picture = plots.point_maps([("all", vectors), ("flat", vectors[:, :2])], labels)
    for axes in picture.figure.axes:
        drawn = np.concatenate([line.get_xydata() for line in axes.lines])
        assert len(drawn) == 30
        # a turn of the first two axes keeps the distances between the points
        order = [i for kind in dict.fromkeys(labels) for i in range(30) if labels[i] == kind]
        flat = vectors[order, :2]
        ours, theirs = (np.linalg.norm(p[:, None] - p, axis=-1) for p in (drawn, flat))
        assert np.abs(ours - theirs).max() < 0.2
    assert {"all", "flat", "left", "right"} <= set(words(picture.figure))
    assert f"{labels.count('left')} of 'left'" in picture.alt and "100% of the variance" in picture.alt


@pytest.mark.parametrize(
    ("panels", "labels", "complaint"),
    [
        ([], ["a", "b"], "got 0 and 2"),
        ([("x", np.ones((2, 2)))] * 5, ["a", "b"], "got 5 and 2"),
        ([("x", np.ones((2, 2)))], ["a", "a"], "got 1 and 1"),
        ([("x", np.ones((3, 2)))], ["a", "b"], "got the shape"),
    ],
)
def test_point_maps_refuse_what_cannot_be_drawn(panels, labels, complaint):
    with pytest.raises(ValueError, match=complaint):
        plots.point_maps(panels, labels)


def test_many_points_are_not_all_read_out():
    x = np.linspace(0, 1, 101)
    text = plots.curves(x, {"square": x**2}, "x", "y").alt
    assert text.startswith("Lines of y over x at 21 of 101 places. square: 0 at 0, 0.0025 at 0.05,")
    assert text.endswith("0.903 at 0.95, 1 at 1.") and text.count(" at ") == 22


@pytest.mark.parametrize(("colours", "table"), [(5, 48), (64, 64), (200, 256)])
def test_a_picture_gets_the_smallest_table_of_colours_that_changes_it_little(colours, table):
    random = np.random.default_rng(0)
    cube = np.stack(np.meshgrid(*[np.arange(0, 255, 40)] * 3), axis=-1).reshape(-1, 3)  # 343, far apart
    chosen = random.permutation(cube)[:colours].astype(np.uint8)
    image = Image.fromarray(chosen[np.arange(60 * 60) % colours].reshape(60, 60, 3))
    found = style.with_few_colours(image)
    assert len(found.getcolors()) == colours and len(found.getpalette()) // 3 <= table
    assert (np.asarray(found.convert("RGB")) == np.asarray(image)).all()  # with so few, nothing is lost


def test_no_pixel_of_a_picture_changes_much_unless_the_largest_table_is_full():
    for colours in (style.COLOURS.values(), ("#000000", "#FCFBF8")):
        lines = matplotlib.colors.LinearSegmentedColormap.from_list("lines", list(colours))
        shades = (255 * lines(np.linspace(0, 1, 300))[:, :3]).round().astype(np.uint8)
        image = Image.fromarray(np.tile(shades, (10, 1, 1)))
        found = style.with_few_colours(image)
        change = np.abs(np.asarray(found.convert("RGB"), int) - np.asarray(image, int)).max()
        assert change <= style.LARGEST_CHANGE
