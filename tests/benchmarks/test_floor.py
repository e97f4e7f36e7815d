import io

import msgspec

from benchmarks import floor, people

RECORDS = 25_000
MESSAGES = b'{"type": "SCHEMA"}\n' + b"".join(
    (people.LINE % (people.STREAM, people.record(number))).encode() for number in range(RECORDS)
)


def bodies(kind: str) -> list[bytes]:
    return list(floor.encoded(floor.KINDS[kind](floor.record_lines(io.BytesIO(MESSAGES)))))


def test_both_floors_encode_the_same_bodies() -> None:
    assert bodies("whole") == bodies("mapped")


def test_every_record_is_in_a_body_of_at_most_10_000() -> None:
    sizes = [len(msgspec.json.decode(body)["leads"]) for body in bodies("whole")]
    assert sizes == [10_000, 10_000, 5_000]
