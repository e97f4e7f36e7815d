"""One Chromium for all tests of pages; without it they are skipped, except in CI, which has to have it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.browser.chromium import PROGRAM, Chromium


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if PROGRAM is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing: apt-get install chromium")
        pytest.skip("Chromium is not installed: apt-get install chromium")
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
