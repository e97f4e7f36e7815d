from __future__ import annotations

import unicodedata

from target_amplemarket.leads.canonical import INVISIBLE


def test_invisible_are_all_spaces_and_all_format_characters_that_no_script_needs() -> None:
    spaces = {chr(point) for point in range(0x110000) if chr(point).isspace()}
    formats = {chr(point) for point in range(0x2000, 0x10000) if unicodedata.category(chr(point)) == "Cf"}
    assert set(INVISIBLE) == spaces | formats | {"\u00ad"}
