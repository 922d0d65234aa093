"""The page in a real headless browser (extra `browser`, and Chromium with its driver)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gradcost
from gradcost.export import growth_figures, to_html
from gradcost.grids import Axis
from gradcost.grids.run import PREDICT

selenium = pytest.importorskip("selenium", reason="the extra `browser` is not installed")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no Chromium with its driver")

SPEC = Path(__file__).parent.parent / "configs" / "residual_mlp.yaml"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, gradcost.Analysis]:
    analysis = gradcost.study(SPEC, measure=True)
    target = tmp_path_factory.mktemp("page") / "report.html"
    target.write_text(to_html(analysis, growth_figures(SPEC, [Axis("batch", (1, 8, 64))], PREDICT)), encoding="utf-8")
    return target.as_uri(), analysis


@pytest.fixture(params=[("light", 1200), ("dark", 1200), ("light", 360), ("dark", 360)], ids=str)
def shown(request: pytest.FixtureRequest, browser: Any, page: tuple[str, gradcost.Analysis]) -> Any:
    scheme, width = request.param
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page[0])
    assert browser.execute_script("return 'ready' in document.documentElement.dataset")
    assert browser.get_log("browser") == []
    return browser


def keys(browser: Any, element: Any, *pressed: str) -> None:
    browser.execute_script("arguments[0].focus()", element)
    for key in pressed:
        browser.switch_to.active_element.send_keys(key)


def test_it_fits_the_screen_and_can_be_read(shown: Any) -> None:
    assert shown.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    contrast = """
      const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      const luminance = (text) => {
        const [r, g, b] = text.match(/[0-9.]+/g).map((c) => linear(c / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const paper = luminance(getComputedStyle(document.body).backgroundColor);
      return arguments[0].map((wanted) => {
        const style = getComputedStyle(document.querySelector(wanted));
        const ink = luminance(wanted.match(/text|label/) ? style.fill : style.color);
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
      });
    """
    inks = ["h1", ".facts", ".note", ".verdict p", "tr.best .name", "#memory-plot text", "#graph-plot .label"]
    assert min(shown.execute_script(contrast, inks)) >= 4.5, "WCAG 2.1, 1.4.3"


def test_tables_sort_by_exact_figures_with_the_keyboard(shown: Any, page: tuple[str, gradcost.Analysis]) -> None:
    report = page[1].report
    head = shown.find_element("css selector", "#strategies thead th:nth-child(2) button")
    by_multiplies = sorted(report.all, key=lambda name: report.all[name].predicted.multiplies)

    def rows() -> list[str]:
        return [each.text for each in shown.find_elements("css selector", "#strategies tbody .name")]

    keys(shown, head, "\ue007")
    figures = [report.all[name].predicted.multiplies for name in rows()]
    assert figures == sorted(figures)
    keys(shown, head, "\ue007")
    assert rows()[0] == by_multiplies[-1]
    assert shown.find_element("css selector", "#strategies th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_memory_is_walked_with_the_keyboard(shown: Any, page: tuple[str, gradcost.Analysis]) -> None:
    plot = shown.find_element("id", "memory-plot")
    radio = shown.find_element("css selector", "#memory-pick input[value=forward_jacobian]")
    shown.execute_script("arguments[0].click()", radio)
    moments = page[1].timeline("forward_jacobian").moments
    keys(shown, plot, "\ue011")  # Home
    assert plot.get_attribute("aria-valuenow") == "1"
    keys(shown, plot, "\ue014", "\ue014")  # to the right
    assert plot.get_attribute("aria-valuenow") == "3"
    assert f"Step 3 of {len(moments):,}: {moments[2].layer}, {moments[2].phase}" in plot.get_attribute("aria-valuetext")
    keys(shown, plot, "p")
    assert "the peak" in shown.find_element("id", "memory-now").text
    assert len(shown.find_elements("css selector", "#memory-alive tbody tr")) > 3


def test_curves_are_hidden_and_shown(shown: Any, page: tuple[str, gradcost.Analysis]) -> None:
    def marks() -> int:
        return len(shown.find_elements("css selector", "#growth-plots path[transform]"))

    assert marks() == 2 * 3 * len(page[1].report.strategies)
    keys(shown, shown.find_element("css selector", "#growth-key button"), " ")
    assert marks() == 2 * 3 * (len(page[1].report.strategies) - 1)


def test_the_graph_is_walked_with_the_keyboard(shown: Any, page: tuple[str, gradcost.Analysis]) -> None:
    nodes = shown.find_elements("css selector", "#graph-plot g")
    layers = page[1].report.network.layers
    assert len(nodes) == len(layers) + 2
    keys(shown, nodes[0], "\ue015", "\ue015")  # down
    now = shown.find_element("id", "graph-now").text
    assert now.startswith(f"{layers[1].name}, {layers[1].type}")
    assert shown.execute_script("return document.activeElement === arguments[0]", nodes[2])
    assert len(shown.find_elements("css selector", "#graph-plot g[tabindex='0']")) == 1
