"""The report as Chromium shows it: on a phone and a desk, in light and dark, printed, by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from target_amplemarket.results.report import write_report
from target_amplemarket.storage.durable import Folder
from tests.browser.chromium import Chromium
from tests.harness import Ran
from tests.results.reported import mixed_messages

Run = Callable[..., Ran]


@pytest.fixture
def report(run: Run) -> Path:
    return write_report(Folder(run(mixed_messages(), batch_size_rows=300).results_path), "last")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_is_readable_and_loads_nothing(
    chromium: Chromium, report: Path, tmp_path: Path, width: int, *, dark: bool
) -> None:
    with chromium.page(report.as_uri(), width=width, dark=dark) as page:
        assert page.overflow_px() == 0
        assert page.faint_texts() == []
        assert page.complaints() == []
        assert page.requested() == [report.as_uri()]
        shown = page.ask("[...document.querySelectorAll('svg')].filter((svg) => svg.checkVisibility()).length")
        assert shown == 2, "each chart once, in the size that fits"
        backdrop = page.ask("getComputedStyle(document.body).backgroundColor")
        assert backdrop == ("rgb(20, 23, 26)" if dark else "rgb(250, 249, 247)")
        smallest = "Math.min(...[...document.querySelectorAll('svg text')].filter((text) => text.checkVisibility())"
        assert page.ask(f"{smallest}.map((text) => text.getBoundingClientRect().height))") > 10
        page.screenshot(tmp_path / "report.png")
        assert (tmp_path / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_a_script_that_got_in_would_not_run(chromium: Chromium, report: Path) -> None:
    page_text = report.read_text()
    report.write_text(page_text.replace("</main>", "<script>document.title = 'ran'</script><img src='x.png'></main>"))
    with chromium.page(report.as_uri()) as page:
        assert page.ask("document.title") != "ran"
        assert len(page.complaints()) == 2, "the policy refuses both"


def test_it_prints_without_dark_colours_and_nothing_cut(chromium: Chromium, report: Path) -> None:
    with chromium.page(report.as_uri(), dark=True) as page:
        pdf = page.pdf()
        assert pdf.startswith(b"%PDF")
        assert 1 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page/") <= 6
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        page.call("Emulation.setEmulatedMedia", media="print", features=features)
        assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.ask("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
        assert page.ask("document.querySelector('.skip').checkVisibility()") is False


def test_the_keyboard_reaches_the_content_and_every_link(chromium: Chromium, report: Path) -> None:
    with chromium.page(report.as_uri()) as page:
        page.press("Tab")
        assert page.ask("document.activeElement.textContent") == "To the report"
        page.press("Enter")
        page.has_come("document.activeElement.id === 'main'")
        link_count = page.ask("document.querySelectorAll('main a').length")
        reached = set()
        for _ in range(link_count + 2):
            page.press("Tab")
            reached.add(page.ask("document.activeElement.getAttribute('href') ?? ''"))
        assert len(reached - {""}) == link_count
