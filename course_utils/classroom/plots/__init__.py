"""Figures in one house style, none of them without words.

Every function returns a `Picture`: a matplotlib figure and the text that stands in for it. A picture
without such a text cannot be made. Beyond that, the style keeps four promises:

- **Light and dark pages.** A figure brings its own near-white paper and dark ink, so no theme can swallow it.
- **No colour needed.** Lines differ in dashes and markers and carry their names; cells carry marks, numbers
  or hatching. The colours lie at least nine steps of lightness apart (CIE L*), so they also differ in
  greyscale and to colour-blind eyes.
- **Room on a slide.** No figure is larger than 9.6 x 5.4 inches, 922 x 518 pixels of a slide of 1280 x 720;
  no letter is smaller than 9 points.
- **Small and stable.** A PNG names neither its program nor its date: one version of matplotlib, one file.

Arguments that hold numbers may be lists, numpy arrays or torch tensors.

By subject: `style` (and `Picture`), `words`, `cells` (masks, weights, tables), `lines`, `losses`, `maps`,
`bar_charts`.
"""

from course_utils.classroom.plots.bar_charts import (
    bars,
    intervals,
    timeline,
)
from course_utils.classroom.plots.cells import (
    attention_grid,
    attention_grids,
    cut_rows,
    heat_maps,
    mask_grid,
    mask_grids,
    moved_positions,
    similarities,
    span_scores,
)
from course_utils.classroom.plots.lines import (
    LiveLoss,
    curves,
    learning_curves,
    loss_against_floors,
    reliability,
    roofline,
    row_lengths,
)
from course_utils.classroom.plots.losses import (
    losses_over_steps,
)
from course_utils.classroom.plots.maps import (
    point_maps,
    scatter,
    word_maps,
)
from course_utils.classroom.plots.style import (
    COLOURS,
    GREY,
    HEAT,
    INK,
    LINE,
    MAX_HEIGHT,
    MAX_WIDTH,
    PAPER,
    Picture,
    house_style,
    show,
)

__all__ = [
    "COLOURS",
    "GREY",
    "HEAT",
    "INK",
    "LINE",
    "MAX_HEIGHT",
    "MAX_WIDTH",
    "PAPER",
    "LiveLoss",
    "Picture",
    "attention_grid",
    "attention_grids",
    "bars",
    "curves",
    "cut_rows",
    "heat_maps",
    "house_style",
    "intervals",
    "learning_curves",
    "loss_against_floors",
    "losses_over_steps",
    "mask_grid",
    "mask_grids",
    "moved_positions",
    "point_maps",
    "reliability",
    "roofline",
    "row_lengths",
    "scatter",
    "show",
    "similarities",
    "span_scores",
    "timeline",
    "word_maps",
]
