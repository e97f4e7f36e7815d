from __future__ import annotations

import pytest
from made import NOW, ROWS, accepted, evicted, held, make_rejections, refused, rejected_rows, rows_of

from target_amplemarket.errors import BooksOpen
from target_amplemarket.results.books import Books
from target_amplemarket.results.schema import RESULTS


def test_rows_are_counted_by_stream_status_and_reason() -> None:
    books = Books()
    books.enter(rows_of(accepted([1, 2, 3]), evicted([4]), refused([5]), held([6])))
    books.enter(ROWS.of_rejections("accounts", make_rejections([7, 8]), NOW))
    assert books.row_count == 8
    assert dict(books.rows) == {
        ("contacts", "accepted", None): 3,
        ("contacts", "rejected", "refused_by_api"): 2,
        ("contacts", "held", "outcome_unknown"): 1,
        ("accounts", "rejected", "no_identity"): 2,
    }
    assert books.by_status() == {"rejected": 4, "accepted": 3, "held": 1}
    assert list(books.by_status()) == ["rejected", "accepted", "held"]
    assert books.by_status(stream="accounts") == {"rejected": 2}
    assert books.by_reason() == {
        "rejected": {"refused_by_api": 2, "no_identity": 2},
        "accepted": {},
        "held": {"outcome_unknown": 1},
    }


def test_no_rows_count_as_none() -> None:
    books = Books()
    books.enter(RESULTS.empty_table())
    assert (books.row_count, books.by_status(), books.by_reason()) == (0, {}, {})


def test_books_close_when_every_record_has_a_row() -> None:
    books = Books()
    books.close()
    books.records["contacts"] += 3
    books.enter(rejected_rows([1, 2, 3]))
    books.close()


@pytest.mark.parametrize("numbers", [[], [1], [1, 2, 3, 4]])
def test_books_do_not_close_over_a_record_without_a_row_or_with_two(numbers: list[int]) -> None:
    books = Books()
    books.records["contacts"] += 3
    books.enter(rejected_rows(numbers))
    with pytest.raises(BooksOpen, match=f"3 records were read and {len(numbers)} result rows written"):
        books.close()


def test_a_row_too_many_in_one_stream_does_not_make_up_for_one_that_another_lacks() -> None:
    books = Books()
    books.records.update({"contacts": 1, "accounts": 2})
    books.enter(rejected_rows([1, 2], stream="contacts"))
    books.enter(rejected_rows([3], stream="accounts"))
    with pytest.raises(BooksOpen, match="do not meet in 2 of the streams"):
        books.close()
