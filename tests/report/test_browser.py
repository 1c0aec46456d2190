"""The page in a real browser: what is sorted and filtered, what runs, what is loaded.

Debian's chromium and chromium-driver, driven without a window; skipped where they are not there.
"""

import shutil

import numpy as np
import pytest

from softunlearn.report import render, summarise
from tests.report.cases import HOSTILE, LOADS

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    from selenium.webdriver.chrome.service import Service

    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(paths[1]))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def show(browser, tmp_path_factory):
    """Open a page from a file, at a width, and return the browser."""
    folder = tmp_path_factory.mktemp("pages")

    def open_page(html, width=1280):
        path = folder / "page.html"
        path.write_text(html, encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get_log("browser")
        browser.get(path.as_uri())
        return browser

    return open_page


def column(browser, name, attribute="value"):
    """The cells of a column, of rows that are shown, from top to bottom."""
    return browser.execute_script(
        """return [...document.querySelectorAll("table.sortable tbody")].filter(b => !b.hidden)
        .map(b => b.rows[0].querySelector(`[data-name="${arguments[0]}"]`))
        .map(cell => arguments[1] == "text" ? cell.textContent : cell.dataset[arguments[1]])""",
        name,
        attribute,
    )


def press(browser, button, key):
    browser.execute_script("arguments[0].focus()", button)
    webdriver.ActionChains(browser).send_keys(key).perform()


def button(browser, words):
    found = browser.find_elements("css selector", "table.sortable th button")
    return next(b for b in found if b.text.replace("\n", " ").startswith(words))


def test_rows_are_sorted_by_the_keyboard(show, corrected):
    from selenium.webdriver.common.keys import Keys

    browser, shown = show(render(corrected)), summarise(corrected)["rows"]
    rows = [*shown["most_harmful"], *shown["most_helpful"]]
    header = browser.find_elements("css selector", "[aria-sort]")
    assert [h.get_attribute("aria-sort") for h in header] == ["ascending"]
    leverage = sorted(row["leverage"] for row in rows)
    press(browser, button(browser, "Leverage"), Keys.ENTER)
    assert [float(x) for x in column(browser, "Leverage")] == leverage
    press(browser, button(browser, "Leverage"), Keys.SPACE)
    assert [float(x) for x in column(browser, "Leverage")] == leverage[::-1]
    [header] = browser.find_elements("css selector", "[aria-sort]")
    assert header.get_attribute("aria-sort") == "descending"
    assert header.text.startswith("Leverage")
    button(browser, "Group").click()
    groups = column(browser, "Group", "text")
    assert groups == sorted(groups)
    assert len(groups) == len(rows)
    button(browser, "Row").click()
    assert [int(x) for x in column(browser, "Row")] == sorted(row["row"] for row in rows)


def test_rows_are_filtered_by_kind_and_by_words(show, corrected):
    from selenium.webdriver.support.select import Select

    browser, shown = show(render(corrected)), summarise(corrected)["rows"]
    said = browser.find_element("css selector", ".tools [role=status]")
    total = len(shown["most_harmful"]) + len(shown["most_helpful"])
    assert said.text == f"{total} of {total} rows shown"
    Select(browser.find_element("css selector", ".tools select")).select_by_value("helps")
    helpful = {row["row"] for row in shown["most_helpful"]}
    assert {int(x) for x in column(browser, "Row")} == helpful
    words = browser.find_element("css selector", ".tools input")
    wanted = shown["most_helpful"][3]
    words.send_keys(str(wanted["row"]))
    assert wanted["row"] in [int(x) for x in column(browser, "Row")]
    words.clear()
    words.send_keys("nothing of the kind")
    assert column(browser, "Row") == []
    assert said.text == f"0 of {total} rows shown"


def test_nothing_of_the_users_runs_and_nothing_is_loaded(show, hostile):
    browser = show(render(hostile))
    assert browser.title.startswith("Correction report")
    assert HOSTILE in browser.find_element("tag name", "body").text
    assert LOADS in browser.find_element("tag name", "body").text
    assert browser.execute_script("return document.scripts.length") == 1
    for tag in ("img", "iframe", "object", "b", "form"):
        assert browser.find_elements("tag name", tag) == []
    listening = "return [...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
    names = browser.execute_script(listening + ".map(a => a.name)")
    assert not [name for name in names if name.startswith("on")]
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.get_log("browser") == []


def test_what_escaping_missed_the_policy_would_refuse(show, corrected):
    """The second line of defence, tried: markup put into the page does not run or load."""
    spoiled = "<script>document.title=1</script>" + LOADS + '<p style="color: red">x</p>'
    browser = show(render(corrected).replace("</h1>", "</h1>" + spoiled, 1))
    assert browser.title.startswith("Correction report")
    refused = [entry["message"] for entry in browser.get_log("browser")]
    for rule in ("script-src", "img-src", "style-src"):
        assert any(rule in message for message in refused), rule
    assert button(browser, "Row").is_displayed()  # the page's own script does


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_is_no_wider_than_its_window(width, show, several):
    browser = show(render(several), width)
    page = "const page = document.documentElement; return "
    assert browser.execute_script(page + "page.scrollWidth <= page.clientWidth")
    assert button(browser, "Weight").is_displayed()


def test_the_focus_can_be_seen_wherever_the_keyboard_leads(show, corrected):
    from selenium.webdriver.common.keys import Keys

    browser, seen = show(render(corrected)), []
    for _ in range(30):
        webdriver.ActionChains(browser).send_keys(Keys.TAB).perform()
        seen.append(
            browser.execute_script(
                """const e = document.activeElement, s = getComputedStyle(e);
                return [e.tagName, s.outlineStyle, parseFloat(s.outlineWidth)]"""
            )
        )
    tags = {tag for tag, _, _ in seen}
    assert {"A", "SUMMARY", "DIV", "SELECT", "INPUT", "BUTTON"} <= tags
    widths = [width for tag, style, width in seen if tag != "BODY" and style != "none"]
    assert len(widths) == sum(tag != "BODY" for tag, _, _ in seen)
    assert np.min(widths) >= 2


@pytest.mark.parametrize("kind", ["corrected", "without_groups", "unchanged"])
@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_used_has_a_name_and_what_scrolls_can_be_scrolled_by_keys(
    kind, width, show, request
):
    browser = show(render(request.getfixturevalue(kind)), width)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    for used in browser.find_elements("css selector", "a, button, select, input, summary"):
        assert used.accessible_name, used.get_attribute("outerHTML")
    for figure in browser.find_elements("css selector", "svg[role=img]"):
        assert figure.aria_role in ("img", "image")
        assert figure.accessible_name
    boxes = browser.find_elements("css selector", ".scroll")
    assert boxes
    for box in boxes:
        assert (box.get_attribute("tabindex"), box.aria_role) == ("0", "group")
        assert box.accessible_name
    elsewhere = browser.execute_script(
        """return [...document.querySelectorAll("body *:not(.scroll):not(select):not(.said)")]
        .filter(e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX)).length"""
    )
    assert elsewhere == 0
