"""Every notebook in a real JupyterLab: its panels run cell by cell, every control moved by mouse and by
keyboard, odd texts typed.

The page shows every output of the notebook as it is stored; the notebooks step runs all cells and holds the
stored outputs to what they print. What is run here are the cells that show panels and those that they depend
on (`tools/panel_cells.py`), and the whole of the first notebook, from top to bottom as a reader does.

The rules hold for every panel of controls, whatever it shows: each control changes what is shown, by mouse
and by keyboard alone; whatever is typed, there is an answer, never a traceback, and never markup that is
carried out. What is shown beyond that, for single notebooks, is compared with the model in `SPECIAL`.
"""

import os
import re
import time
from pathlib import Path

import nbformat
import pytest

from course_utils import checkpoints, widgets
from tools import panel_cells
from tools.notebooks import FOLDER, longest_first

NOTEBOOKS = longest_first(FOLDER.glob("*.ipynb"))
OPEN_SECONDS, RUN_SECONDS = 60, 300

ODD_TEXTS = {
    "empty": "",
    "10,000 characters": "x" * 10_000,
    "more than 512 tokens": "the bank " * 300,
    "emoji": "the 🏦 was 😀 [MASK] 👩‍👩‍👧‍👦",
    "right to left": "הבנק נשדד אתמול [MASK] السلام عليكم",
    "markup": '<img src="x" onerror="window.carriedOut=1"><script>window.carriedOut=1</script><b>[MASK]</b>',
    "half a tag": "<div style='display:none'> [MASK] &lt; \"' </table>",
    "one mask": "[MASK]",
}
ACTIVE = (
    "[...document.querySelectorAll('.jp-Notebook .jp-Cell')].findIndex(e =>"
    " e.classList.contains('jp-mod-active'))"
)
PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')].map(e => e.textContent)"
ERRORS = (
    '[...document.querySelectorAll(\'[data-mime-type$="jupyter.error"],'
    ' [data-mime-type$="jupyter.stderr"]\')].map(e => e.textContent)'
)


def places_to_run(notebook: nbformat.NotebookNode, name: str) -> list[int]:
    """The cells that are run here: all of the first notebook, of the others those that panels need."""
    return list(range(len(notebook.cells))) if name.startswith("00") else panel_cells.needed(notebook)


def run_cell_by_cell(page, path: Path) -> None:
    """Open a notebook and press Shift+Enter on one cell after the other, until all of them have run."""
    notebook = nbformat.read(path, as_version=4)
    cells, places = len(notebook.cells), places_to_run(notebook, path.name)
    page.evaluate(
        "path => { jupyterapp.commands.execute('docmanager:open', {path}) }", f"notebooks/{path.name}"
    )
    page.wait_for_function(
        f"document.querySelectorAll('.jp-Notebook .jp-Cell').length === {cells}"
        " && document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'",
        timeout=OPEN_SECONDS * 1000,
    )
    # The sign on the page can be green before the kernel has answered, and what is asked then is lost.
    end = time.monotonic() + OPEN_SECONDS
    while page.kernel.state != "idle":
        assert time.monotonic() < end, f"after {OPEN_SECONDS} s the kernel is {page.kernel.state}"
        page.wait_for_timeout(50)
    page.locator(".jp-Notebook .jp-Cell").first.locator(".jp-InputPrompt").click()
    for before, place in zip([-1, *places], places, strict=False):
        if place != before + 1:  # Shift+Enter goes on to the next cell by itself
            page.evaluate(
                "place => { jupyterapp.shell.currentWidget.content.activeCellIndex = place }", place
            )
        assert page.evaluate(ACTIVE) == place, f"cell {place} is not the active one"
        page.keyboard.press("Control+Enter" if place == cells - 1 else "Shift+Enter")
        if place < cells - 1:
            page.wait_for_function(f"{ACTIVE} === {place + 1}", timeout=10_000, polling=10)
    code = [place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    ran = [place for place in places if place in code]
    expected = [f"[{ran.index(place) + 1}]:" if place in ran else "[ ]:" for place in code]
    end = time.monotonic() + RUN_SECONDS
    while (prompts := page.evaluate(PROMPTS)) != expected:
        errors = page.evaluate(ERRORS)
        assert not errors, errors[0]
        assert time.monotonic() < end, f"after {RUN_SECONDS} s the prompts are {prompts}"
        page.wait_for_timeout(100)
    assert page.evaluate(ERRORS) == []


class Panel:
    """A panel of controls on the page: what it shows, and how long it takes to show something else."""

    def __init__(self, page, locator):
        self.page, self.locator, self.slowest = page, locator, 0.0

    def shown(self) -> str:
        """What stands under the controls."""
        return "\n".join(self.locator.locator(".widget-html-content").all_inner_texts())

    def after(self, action) -> str:
        """Do something and return what is shown once the kernel has answered."""
        started = time.monotonic()
        self.page.kernel.after(action)
        self.slowest = max(self.slowest, time.monotonic() - started)
        return self.shown()

    def controls(self, selector: str) -> list:
        return self.locator.locator(selector).all()

    def changes(self, control, actions: list) -> bool:
        """Whether one of the actions on a control changes what is shown. A slider goes back to where it was
        afterwards: at the end of its track another control may rightly have nothing to change.
        """
        before, start = self.shown(), control.get_attribute("aria-valuenow")
        changed = any(self.after(lambda action=action: action(control)) != before for action in actions)
        if control.get_attribute("role") == "slider":
            self.after(lambda: move_to(control, float(start)))
        return changed


def move_to(slider, value: float) -> None:
    """Click on the track of a slider where it stands at `value`.

    Arrow keys would go there in steps, and an answer of the kernel on its way takes such a step back.
    """
    low, high = (float(slider.get_attribute(f"aria-value{end}")) for end in ("min", "max"))
    for _ in range(10):
        click_at((value - low) / (high - low))(slider)
        slider.page.wait_for_timeout(50)
        if abs(float(slider.get_attribute("aria-valuenow")) - value) <= 0.02 * (high - low):
            return
    raise AssertionError(f"a slider does not come back to {value}")


def press(*keys):
    def action(control):
        control.focus()
        for key in keys:
            control.page.keyboard.press(key)

    return action


def click_at(share: float):
    """A click on the track of a slider, at a share of its length."""

    def action(handle):
        # Playwright scrolls it into view and waits until it stands still: what is drawn above can move it.
        track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]")
        box = track.bounding_box()
        x = min(max(share * box["width"], 2), box["width"] - 2)  # what lies beyond its ends is not the track
        track.click(position={"x": x, "y": box["height"] / 2})

    return action


def choose(place: int):
    """An entry of a list; the list itself is drawn by the system and cannot be clicked here."""
    return lambda select: select.select_option(index=min(place, select.locator("option").count() - 1))


# For each kind of control: how it is moved by mouse, and how by keyboard.
KINDS = {
    ".noUi-handle": (
        [click_at(0.9), click_at(0.1), click_at(0.5)],
        [press("End"), press("Home"), press("ArrowRight")],
    ),
    # The list stays closed: what JupyterLab does with a bare arrow key, see `keep_their_keys`.
    "select": ([choose(1), choose(0)], [press("ArrowDown"), press("ArrowUp")]),
    "input[type=checkbox]": ([lambda box: box.click()] * 2, [press("Space")] * 2),
    "button": ([lambda button: button.click()] * 2, [press("Space")] * 2),
}
BUTTONS_TRIED = 5


def move_everything(panel: Panel) -> list[str]:
    """Move every control by mouse, then every control by keyboard; what does not answer is a finding.

    A button that sets what is set already rightly changes nothing: it is tried again after the others.
    """
    found = []
    for way in (0, 1):
        waiting = []
        for selector, ways in KINDS.items():
            controls = panel.controls(selector)
            tried = controls[:BUTTONS_TRIED] if selector == "button" else controls
            waiting += [
                (f"{selector} number {place + 1}", control, ways[way]) for place, control in enumerate(tried)
            ]
        for _ in range(2):
            waiting = [item for item in waiting if not panel.changes(item[1], item[2])]
        found += [f"{name} changes nothing by {('mouse', 'keyboard')[way]}" for name, *_ in waiting]
    return found


TAKEN = ("x", "r", "a", "ArrowDown")  # JupyterLab's own keys: cut the cell, turn it raw, add one, go on
CELLS = (
    "[...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(e => e.className.match(/jp-\\w+Cell/)[0])"
)


def keep_their_keys(panel: Panel) -> list[str]:
    """A focused control keeps the keys that JupyterLab would take: no cell is cut, added, or turned."""
    page, found = panel.page, []
    kinds = ("select", "button", ".noUi-handle", "input[type=checkbox]", "input[type=radio]", "[role=img]")
    for selector in kinds:
        for control in panel.controls(selector)[:1]:
            control.focus()  # which makes its cell the active one
            before = page.evaluate(f"[{CELLS}, {ACTIVE}]")
            start = control.get_attribute("aria-valuenow")
            chosen = control.evaluate("e => e.selectedIndex")
            panel.after(lambda control=control: press(*TAKEN)(control))
            if page.evaluate(f"[{CELLS}, {ACTIVE}]") != before:
                found.append(f"{selector}: JupyterLab takes one of the keys {TAKEN}")
            if start is not None:
                panel.after(lambda control=control, start=start: move_to(control, float(start)))
            if chosen is not None:
                panel.after(lambda control=control, chosen=chosen: choose(chosen)(control))
    return found


def reach_by_keyboard(panel: Panel) -> list[str]:
    """Tab goes through every control of the panel, one after the other."""
    page = panel.page
    wanted = panel.locator.locator("input:not([type=hidden]), select, .noUi-handle, button").all()
    if not wanted:
        return []
    wanted[0].focus()
    visited = 0
    for control in wanted:
        for _ in range(4):  # a slider's number, which can be typed over, stands between
            if control.evaluate("e => e === document.activeElement"):
                visited += 1
                break
            page.keyboard.press("Tab")
    return [] if visited == len(wanted) else [f"Tab reaches {visited} of {len(wanted)} controls"]


REGION = """panel => {
    const [region, ...more] = panel.querySelectorAll('[role=status]');
    const messages = [...panel.querySelectorAll('.course-message')].map(e => e.textContent).join(' ');
    const first = panel.first ??= {region, messages};
    const said = region.textContent, silent = said === '' && messages === first.messages;
    return !more.length && first.region === region && (silent || said === messages)
        ? [] : [`announced ${said} for ${messages}`]; }"""


def announce(panel: Panel) -> list[str]:
    """Messages that change are copied to one region, which was on the page before them."""
    return panel.locator.evaluate(REGION)


def type_odd_texts(panel: Panel) -> list[str]:
    """Type every odd text into every field; there must be an answer, and it must be harmless."""
    found = []
    for place, field in enumerate(panel.controls("input[type=text], textarea")):
        before = field.input_value()
        for name, text in ODD_TEXTS.items():
            shown = panel.after(lambda field=field, text=text: (field.fill(text), field.press("Enter")))
            what = f"field {place + 1}, {name}"
            if not shown.strip():
                found.append(f"{what}: nothing is shown")
            if re.search(r"Traceback|Error:|File \"", shown):
                found.append(f"{what}: a traceback: {shown[:200]}")
            if panel.page.evaluate("window.carriedOut"):
                found.append(f"{what}: the markup was carried out")
            if panel.locator.locator("script, img[src=x], b:text('MASK')").count():
                found.append(f"{what}: the markup became part of the page")
        panel.after(lambda field=field, text=before: (field.fill(text), field.press("Enter")))
    return found


# --- How the panels look

THEMES = ("JupyterLab Dark", "JupyterLab Light")
CONTRAST = """async () => {
    const rules = ['color-contrast', 'label', 'select-name', 'button-name', 'aria-input-field-name'];
    const {violations} = await axe.run('.course-panel', {runOnly: rules});
    return violations.map(({help, nodes}) =>
        `${help}: ${nodes[0].html.slice(0, 160)} (${nodes.length} times)`); }"""
# What stands to the right of the visible page and cannot be scrolled to.
BEYOND = """() => [...document.querySelectorAll('.course-panel :is(input, select, button, table)')]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .filter(element => {
        for (let e = element.parentElement; e; e = e.parentElement)
            if (e.scrollWidth > e.clientWidth && /auto|scroll/.test(getComputedStyle(e).overflowX))
                return false;
        return true; })
    .map(element => element.outerHTML.slice(0, 160))"""


def look_at_panels(page, scripts: Path, name: str) -> list[str]:
    """What cannot be read: too little contrast in the dark or the light theme, or cut off at 200 % zoom.

    With BROWSER_PICTURES set to a folder, every panel is photographed there in each of the three.
    """
    found, pictures = [], os.environ.get("BROWSER_PICTURES")
    page.add_script_tag(path=scripts / "axe-core" / "axe.min.js")

    def photograph(what: str) -> None:
        for place, panel in enumerate(page.locator(".course-panel").all()):
            panel.screenshot(path=Path(pictures) / f"{name}_{place}_{what}.png")

    for theme in THEMES:
        page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
        page.wait_for_timeout(100)
        found += [f"{theme}: {fault}" for fault in page.evaluate(CONTRAST)]
        if pictures:
            photograph(theme.split()[-1].lower())
    page.evaluate("jupyterapp.shell.collapseLeft()")  # as one does where room is short
    page.set_viewport_size({"width": 700, "height": 500})  # half of 1400 x 1000: each letter twice as large
    page.wait_for_timeout(200)
    found += [f"cut off at 200 %: {element}" for element in page.evaluate(BEYOND)]
    if pictures:
        photograph("zoom")
    return found


# --- What single notebooks show, compared with the model


def fill_blank(panel: Panel) -> None:
    model, tokenizer = checkpoints.load("embedded")
    for text, keys, k in [("the cat sat on the [MASK]", "Home", 1), ("great [MASK] !", "End", 10)]:
        panel.after(lambda text=text: panel.controls("input[type=text]")[0].fill(text))
        shown = panel.after(lambda keys=keys: press(keys)(panel.controls(".noUi-handle")[0]))
        expected = panel.page.evaluate(
            "html => {const e = document.createElement('div'); e.innerHTML = html; document.body.append(e);"
            " const text = e.innerText; e.remove(); return text}",
            widgets.guesses_html(model, tokenizer, text, k),
        )
        assert shown.split() == expected.split()


def mask_playground(panel: Panel) -> None:
    def weights():
        table = panel.locator.locator("table").first
        rows = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
        return [[float(cell) for cell in row] for row in rows]

    def button(name):
        return panel.locator.get_by_role("button", name=name, exact=True)

    panel.after(lambda: button("causal").click())
    for i, row in enumerate(weights()):
        assert all(weight == 0 for weight in row[i + 1 :])
        assert sum(row) == pytest.approx(1, abs=0.03)
    panel.after(lambda: button("only itself").click())
    assert weights() == [[float(i == j) for j in range(len(row))] for i, row in enumerate(weights())]
    first = panel.locator.locator("button.jupyter-widgets.widget-toggle-button, .widget-toggle-button").first
    shown = panel.after(first.click)
    assert "may attend to nobody" in shown
    assert first.inner_text().strip() == "no"


def attention_explorer(panel: Panel) -> None:
    for handle in panel.controls(".noUi-handle"):
        panel.after(lambda handle=handle: press("End")(handle))
        looks = panel.locator.locator("table").last.locator("tbody tr").first.locator("td").all_inner_texts()
        assert float(looks[-1]) == pytest.approx(1, abs=0.005)
        assert sum(map(float, looks[:-1])) == pytest.approx(1, abs=0.04)
    page, tokens = panel.page, panel.locator.locator(".from")

    def drawn() -> list[int]:
        """The tokens whose lines and numbers are drawn in full."""
        styles = panel.locator.locator(".lines").evaluate_all(
            "all => all.map(e => [getComputedStyle(e.querySelector('svg')).strokeOpacity,"
            " getComputedStyle(e.querySelector('.numbers')).visibility])"
        )
        assert all(style in (["0.85", "visible"], ["0.06", "hidden"]) for style in styles)
        return [place for place, style in enumerate(styles) if style[1] == "visible"]

    last = tokens.count() - 1
    page.mouse.move(0, 0)
    assert drawn() == [last]
    tokens.nth(2).focus()
    assert drawn() == [2]
    page.keyboard.press("Tab")
    assert drawn() == [3] and tokens.nth(3).evaluate("e => e === document.activeElement")
    tokens.nth(1).hover()
    assert drawn() == [1]
    page.mouse.move(0, 0)
    assert drawn() == [3]
    panel.controls(".noUi-handle")[0].focus()
    assert drawn() == [last]


SPECIAL = {"00": fill_blank, "04": attention_explorer, "05": mask_playground}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_in_jupyterlab(page, scripts, path):
    started = time.monotonic()
    run_cell_by_cell(page, path)
    ran = time.monotonic()
    found, slowest = [], 0.0
    panels = [Panel(page, locator) for locator in page.locator(".course-panel").all()]
    assert panels, "no panel is shown"
    for panel in panels:
        panel.locator.scroll_into_view_if_needed()
        found += announce(panel) + keep_their_keys(panel) + reach_by_keyboard(panel)
        found += move_everything(panel) + type_odd_texts(panel) + announce(panel)
        slowest = max(slowest, panel.slowest)
    if path.name[:2] in SPECIAL:
        SPECIAL[path.name[:2]](panels[0])
    found += look_at_panels(page, scripts, path.stem)
    print(
        f"{path.stem}: run {ran - started:.0f} s, {len(panels)} panels {time.monotonic() - ran:.0f} s,"
        f" slowest answer {slowest:.2f} s, {len(page.watch.requests)} requests"
    )
    assert found == []
    assert page.evaluate(ERRORS) == []
    assert page.kernel.complaints == []
    assert page.watch.foreign == []
    assert page.watch.errors == []
