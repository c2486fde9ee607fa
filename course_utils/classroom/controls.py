"""What all panels share: controls above a piece of HTML, tables, and what is refused in what a reader types.

`panel` ties them: whenever a control changes, `render` is called with the values of all controls and its HTML
replaces the old one. What a reader types is escaped before it is shown, and a `ValueError` becomes a sentence
under the controls, never a traceback.

Colours come from the page (`currentColor`), so light and dark themes both work; nothing is said by colour
alone. The panels themselves stand in `course_utils/lessons/*/panel.py`.
"""

import html
from collections.abc import Callable

import ipywidgets as ipw

TABLE_STYLE = "border-collapse:collapse;font-size:0.95em"
CELL_STYLE = "padding:2px 8px;text-align:right;border:1px solid currentColor"
HEAD_STYLE = CELL_STYLE + ";font-weight:bold"
LONGEST_TEXT = 2000  # characters; far beyond what a model of 128 positions can read


def panel(render: Callable[..., str], **controls: ipw.Widget) -> ipw.VBox:
    """Controls above the HTML that `render(**values)` makes of their values, kept up to date.

    `render` may raise ValueError: its text is shown in place of the result.
    """
    view = ipw.HTML(layout={"overflow": "auto"})  # a wide table scrolls by itself, not the page

    def update(_change=None):
        try:
            view.value = render(**{name: control.value for name, control in controls.items()})
        except ValueError as error:
            view.value = message(str(error))

    for control in controls.values():
        control.observe(update, names="value")
    update()
    box = ipw.VBox([*controls.values(), manners(), view])
    box.add_class("course-panel")
    return box


# JupyterLab takes keys of a focused control for its own: with a closed list Down goes to another cell, x cuts
# the cell. An element with the attribute below keeps its keys. And the handle of a slider has no name for a
# screen reader to say. Widgets can set neither, so the page does it, whenever a control is drawn. A screen
# reader announces what changes in a region that is there already; HTML that arrives with its text is passed
# over. So each panel has one region, unseen, to which the text of its messages is copied when it changes.
MANNERS = """
const keep = () => {
  const panel = this.closest('.course-panel');
  if (!panel) return setTimeout(keep, 50);
  const messages = () => [...panel.querySelectorAll('.course-message')].map(e => e.textContent).join(' ');
  let said = messages();
  const region = panel.appendChild(document.createElement('div'));
  region.setAttribute('role', 'status');
  region.style.cssText = 'position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)';
  const mind = () => {
    if (messages() !== said) region.textContent = said = messages();
    for (const e of panel.querySelectorAll('select, input, button, .noUi-handle'))
      e.setAttribute('data-lm-suppress-shortcuts', 'true');
    for (const e of panel.querySelectorAll('.noUi-handle'))
      e.setAttribute('aria-label', e.closest('.widget-inline-hbox, .widget-inline-vbox')
        .querySelector('.widget-label').textContent);
  };
  mind();
  new MutationObserver(mind).observe(panel, {childList: true, subtree: true});
};
keep();
"""
EMPTY_PICTURE = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def manners() -> ipw.HTML:
    """What is put, unseen, into a box of class `course-panel`: its controls keep their keys, its sliders have
    names, and its messages are announced.

    A script in HTML that comes later is not run, but a picture says when it has arrived.
    """
    code = html.escape(" ".join(MANNERS.split()))
    picture = f'<img alt="" src="{EMPTY_PICTURE}" onload="{code}">'
    return ipw.HTML(picture, layout={"display": "none"})


def wide(em: int, description: int | None = None) -> dict[str, dict]:
    """Layout and style of a control `em` letters wide, less where the page is narrower; its name
    `description` letters.
    """
    style = {} if description is None else {"style": {"description_width": f"{description}em"}}
    return {"layout": {"width": f"{em}em", "max_width": "100%"}, **style}


def message(text: str) -> str:
    """A sentence for the reader; screen readers announce it (see `manners`)."""
    return f'<p class="course-message">{html.escape(text)}</p>'


def table(heads: list[str], rows: list[list[object]], caption: str) -> str:
    """An HTML table with a caption; the first cell of every row is its heading. Cells are escaped."""

    def cell(text, tag, style, scope=""):
        return f'<{tag} style="{style}"{scope}>{html.escape(str(text))}</{tag}>'

    head = "".join(cell(text, "th", HEAD_STYLE, ' scope="col"') for text in heads)
    body = "".join(
        "<tr>"
        + cell(row[0], "th", HEAD_STYLE, ' scope="row"')
        + "".join(cell(text, "td", CELL_STYLE) for text in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<table style="{TABLE_STYLE}"><caption'
        f' style="text-align:left;white-space:nowrap">{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def check_text(text: str) -> str:
    """The text a reader typed, without white space around it; refuses an empty one and one far too long."""
    text = text.strip()
    if not text:
        raise ValueError("Type a sentence first.")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"This text has {len(text):,} characters; up to {LONGEST_TEXT:,} are read.")
    return text


def encode(tokenizer, limit: int, *texts: str, what: str = "This sentence has"):
    """The encoding of what a reader typed; refuses an empty text, and more pieces than the model's `limit`.

    `what` begins the sentence that says so.
    """
    encoding = tokenizer.encode(*map(check_text, texts))
    if len(encoding) > limit:
        raise ValueError(f"{what} {len(encoding)} pieces; the model reads up to {limit}.")
    return encoding
