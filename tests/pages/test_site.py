"""Every page of build/site, its links followed, looked at in Chromium: what `make site CHECK=yes` calls."""

import pytest

from tools import website

PAGES = sorted(path.relative_to(website.SITE).as_posix() for path in website.SITE.rglob("*.html"))


def test_every_link_leads_somewhere():
    assert PAGES, "there is no site yet: run `make site`"
    assert list(website.broken_links(website.SITE)) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_well(chromium, scripts, page):
    wrong, passed = website.look_at(chromium, website.SITE / page)
    print(f"{page}: {passed} rules of axe-core passed")
    assert wrong == []
