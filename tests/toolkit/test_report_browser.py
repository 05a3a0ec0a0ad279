"""The site in a real browser: no errors, sorting, filtering, pictures, accessibility."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from report_samples import HOSTILE, STRIDE, mutants, sample

from reference_checks import report
from reference_checks.record import Verdict

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGES = ("index.html", "findings.html", "sensitivity.html", "resnet.html", "mobilenet_v2.html")  # fmt: skip
SCHEMES, WIDTHS = ("light", "dark"), (1200, 390)
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium: the system's, or the one that playwright has installed."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed"
    )
    system = next(filter(None, map(shutil.which, BROWSERS)), None)
    with api.sync_playwright() as running:
        try:
            opened = running.chromium.launch(
                executable_path=system, args=["--no-sandbox", "--disable-gpu"]
            )
        except api.Error as error:
            pytest.skip(f"no browser: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with every kind of thing on it: failures, code, charts, hostile text."""
    folder = tmp_path_factory.mktemp("site")
    wrong = replace(STRIDE, check="rows", row="fc", printed="1000-d fc", measured="999")
    hostile = replace(STRIDE, detail=HOSTILE, verdict=Verdict.UNEXPLAINED)
    report.write_all(sample(STRIDE, wrong, hostile), folder, mutants=mutants())
    return folder


@pytest.fixture
def visit(browser, site):
    """Opens a page and returns it with what it has said on its console."""
    contexts = []

    def open_(name, scheme="light", width=1200, **options):
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, **options
        )
        contexts.append(context)
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url))
        page.goto((site / name).as_uri())
        said.remove((site / name.partition("#")[0]).as_uri())
        return page, said

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_without_a_word_and_fits(visit, name, scheme, width):
    """No console message, no request for anything else, nothing wider than the screen."""
    page, said = visit(name, scheme, width)
    assert [] == said
    assert width >= page.evaluate("document.documentElement.scrollWidth")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(eval(colour.removeprefix("rgb"))) > 384) == (scheme == "light")


def test_a_caption_is_read_without_scrolling(visit):
    """A table wider than a telephone's screen scrolls beneath its caption."""
    page, _ = visit("resnet.html", width=390)
    tables = page.eval_on_selector_all(
        ".scroll:has(caption)",
        """folders => folders.map(folder => {
            folder.scrollLeft = 200;
            const caption = folder.querySelector("caption").getBoundingClientRect();
            return [folder.scrollLeft, caption.left, caption.right];
        })""",
    )
    assert any(scrolled for scrolled, _, _ in tables)
    assert all(0 <= left < right <= 390 for _, left, right in tables)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(visit, name, scheme, width):
    """Contrast, labels, roles, order of headings: everything opened."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page, _ = visit(name, scheme, width, bypass_csp=True)
    page.evaluate(
        "document.querySelectorAll('details').forEach((d) => (d.open = true))"
    )
    found = axe.Axe().run(page).response["violations"]
    assert [] == [
        (v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in SERIOUS
    ]


def test_axe_finds_what_is_planted(visit):
    """The planted error of the test above: letters hardly darker than the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page, _ = visit("index.html", bypass_csp=True)
    page.evaluate("document.querySelector('h1').style.color = '#eeeeea'")
    found = axe.Axe().run(page).response["violations"]
    assert "color-contrast" in {v["id"] for v in found if v["impact"] in SERIOUS}


def order(page):
    return page.eval_on_selector_all(
        "#networks tbody tr:not([hidden]) th a",
        "links => links.map(a => a.textContent)",
    )


def test_a_heading_sorts_by_keyboard(visit):
    """Up, then down, and the heading says so; what has no value is last either way."""
    page, _ = visit("index.html")
    assert ["resnet50", "mobilenet_v2_1.4"] == order(page)
    heading = page.locator("#networks th", has_text="parameters")
    for direction, expected in (
        ("ascending", ["mobilenet_v2_1.4", "resnet50"]),
        ("descending", ["resnet50", "mobilenet_v2_1.4"]),
    ):
        heading.get_by_role("button").press("Enter")
        assert direction == heading.get_attribute("aria-sort")
        assert expected == order(page)
    error = page.locator("#networks th", has_text="top-1 error")
    for _ in range(2):  # only resnet50 has one
        error.get_by_role("button").press("Space")
        assert ["resnet50", "mobilenet_v2_1.4"] == order(page)
    assert None is heading.get_attribute("aria-sort")


def test_filters_narrow_the_table_and_say_how_many_are_left(visit):
    """By words, by verdict, by what there is; all of it undone by one button."""
    page, _ = visit("index.html")
    status = page.get_by_role("status")
    assert "2 of 2 networks" == status.text_content()
    page.get_by_label("Search").fill("keras resnet")
    assert (["resnet50"], "1 of 2 networks") == (order(page), status.text_content())
    page.get_by_label("Search").fill("no such network")
    assert ([], "0 of 2 networks") == (order(page), status.text_content())
    page.get_by_role("button", name="Show all").click()
    page.locator("#networks tr[hidden]").first.wait_for(state="detached")
    page.get_by_label("Verdict").select_option("contradicted")
    assert ["resnet50"] == order(page)
    page.get_by_label("Verdict").select_option("any")
    page.get_by_label("with an official model").check()
    assert ["resnet50"] == order(page)


def test_findings_are_filtered_by_kind(visit):
    page, _ = visit("findings.html")
    assert "2 of 2 findings" == page.get_by_role("status").text_content()
    page.get_by_label("Kind").select_option("deviations")
    assert "1 of 2 findings" == page.get_by_role("status").text_content()
    found = page.locator("#findings dt")
    assert ["params-1.4", "conv-bias"] == [
        text.split()[0] for text in found.all_text_contents()
    ]
    assert [False, True] == [one.is_visible() for one in found.all()]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["index.html", "resnet.html"])
def test_pictures_are_not_empty(visit, name, width):
    """Each chart that is seen has marks, named, inside its frame, and in colour."""
    page, _ = visit(name, width=width)
    charts = page.locator("figure svg:visible")
    assert charts.count() >= 1
    for chart in charts.all():
        frame = chart.bounding_box()
        assert frame["width"] > 250
        marks = chart.locator("use:has(title), path:has(title)")
        assert marks.count() >= 1
        for mark in marks.all():
            box = mark.bounding_box()
            assert frame["x"] <= box["x"] <= frame["x"] + frame["width"]
            assert frame["y"] <= box["y"] <= frame["y"] + frame["height"]
            assert box["width"] > 3
            stroke = mark.evaluate("mark => getComputedStyle(mark).stroke")
            assert stroke.startswith("rgb")
        title = chart.locator("title").first.text_content()
        assert title.startswith(("Top-1 accuracy", "Error by depth"))


def test_a_row_marks_the_lines_that_build_it(visit):
    """All of them, and goes to the first."""
    page, _ = visit("resnet.html")
    page.get_by_role("link", name="conv2_x").first.click()
    marked = page.eval_on_selector_all(".code .marked", "lines => lines.map(l => l.id)")
    assert ["L3", "L8"] == marked
    assert page.url.endswith("#L3")
    assert page.locator("#L3").is_visible()


def test_a_marked_cell_opens_by_keyboard(visit):
    """And says why it is marked."""
    page, _ = visit("resnet.html")
    why = page.get_by_text("conv-bias: every convolution keeps a bias").first
    assert not why.is_visible()
    page.locator(".why summary").first.press("Enter")
    assert why.is_visible()


def test_a_link_to_a_folded_table_unfolds_it(visit):
    page, _ = visit("resnet.html")
    page.evaluate(
        "document.querySelectorAll('details').forEach((d) => (d.open = false))"
    )
    page.get_by_role("link", name="50-layer").first.click()
    page.locator("#layers-resnet50[open]").wait_for()


def test_links_lead_somewhere(visit, site):
    """As a browser resolves them: each to a file, and to an element of its page."""
    places: dict[str, set[str]] = {}
    for name in PAGES:
        page, _ = visit(name)
        for address in page.eval_on_selector_all(
            "a", "links => links.map(a => a.href)"
        ):
            if address.startswith("file:"):
                file, _, place = address.partition("#")
                places.setdefault(file.rsplit("/", 1)[1], set()).add(place)
    assert set(PAGES) <= set(places)
    for name, wanted in places.items():
        assert (site / name).is_file()
        if name in PAGES:
            page, _ = visit(name)
            found = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
            assert wanted - {""} <= set(found)


def test_hostile_text_is_only_text(visit):
    """It is seen whole, and nothing of it has run."""
    page, said = visit("resnet.html")
    assert [] == said
    assert page.get_by_text(HOSTILE).count() >= 1
    assert 1 == page.locator("script").count()
