from __future__ import annotations

import pytest

from tests.planted import DEFECTS, ROOT, Planted


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_the_defect_can_still_be_planted(defect: Planted) -> None:
    """`make planted` plants it and looks whether the suite turns red."""
    text = (ROOT / "target_amplemarket" / defect.file).read_text(encoding="utf-8")
    assert text.count(defect.right) == 1
    assert defect.wrong != defect.right
    assert all((ROOT / name).exists() for name in defect.tests)
