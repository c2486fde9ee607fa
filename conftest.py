"""Let nbval compare what a widget cell prints, but not the widget itself, and refuse warnings in every cell.

A widget's view carries random ids and lives in the browser. The notebooks are stored without views, so views
are also left out of what nbval sees when it runs a cell. `tqdm` draws its progress bars as widgets, and they
go the same way. Of a cell whose output may differ (`nbval-ignore-output`) nbval compares nothing: it must not
write to stderr all the same.
"""

import pytest

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def without_views(outputs):
    return [output for output in outputs if WIDGET_VIEW not in output.get("data", {})]


def pytest_itemcollected(item):
    if type(item).__name__ == "IPyNbCell":
        item.output_timeout = 60  # seconds for what a cell has printed: nbval's 5 are few beside other work
        compare = item.compare_outputs
        item.compare_outputs = lambda test, reference: compare(without_views(test), reference)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if type(item).__name__ == "IPyNbCell":
        complaints = [output.text for output in item.test_outputs if output.get("name") == "stderr"]
        if complaints:
            item.raise_cell_error("The cell wrote to stderr", "".join(complaints))
    return result
