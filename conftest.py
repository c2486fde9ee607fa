"""Let nbval compare what a widget cell prints, but not the widget itself.

A widget's view carries random ids and lives in the browser. The notebooks are stored without views, so views
are also left out of what nbval sees when it runs a cell. `tqdm` draws its progress bars as widgets, and they
go the same way.
"""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def without_views(outputs):
    return [output for output in outputs if WIDGET_VIEW not in output.get("data", {})]


def pytest_itemcollected(item):
    if type(item).__name__ == "IPyNbCell":
        compare = item.compare_outputs
        item.compare_outputs = lambda test, reference: compare(without_views(test), reference)
