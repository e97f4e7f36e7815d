"""The two Arrow schemas that records are sorted into: leads, and rejections with their reason."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import pyarrow as pa

from target_amplemarket.leads.fingerprints import FINGERPRINT

LEADS: Final = pa.schema(
    [
        pa.field("record_no", pa.int64(), nullable=False),
        pa.field("record_key", pa.string()),  # JSON object of the key properties
        pa.field("owner", pa.string()),  # e-mail from the record, null where the settings decide
        pa.field("list_type", pa.string(), nullable=False),
        pa.field("linkedin_url", pa.string()),
        pa.field("email", pa.string()),
        pa.field("title", pa.string()),
        pa.field("company_name", pa.string()),
        pa.field("company_domain", pa.string()),
        pa.field("extra", pa.string()),  # JSON object of further flat strings
        pa.field("linkedin_fingerprint", FINGERPRINT),
        pa.field("email_fingerprint", FINGERPRINT),
        pa.field("title_company_fingerprint", FINGERPRINT),  # only where there is neither of the two above
        pa.field("version_fingerprint", FINGERPRINT, nullable=False),
        pa.field("reason", pa.string()),  # an identity that was given and could not be used
        pa.field("field", pa.string()),  # the lead field that this reason is about
        pa.field("detail", pa.string()),
        pa.field("record", pa.string()),  # the record as it came, where the settings keep it
    ]
)

MAPPED: Final = LEADS.set(LEADS.get_field_index("record"), pa.field("record", pa.dictionary(pa.int32(), pa.string())))
"""`LEADS` before they are in a list: records point into the text of their block, which is copied once."""

REJECTIONS: Final = pa.schema(
    [
        pa.field("record_no", pa.int64(), nullable=False),
        pa.field("record_key", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("field", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("winner_record_no", pa.int64()),
        pa.field("record", pa.string()),
    ]
)


class Status(StrEnum):
    """What became of a record; every record ends in exactly one."""

    ACCEPTED = "accepted"
    PLANNED = "planned"
    DUPLICATE = "duplicate"
    EXCLUDED = "excluded"
    REJECTED = "rejected"
    HELD = "held"


class Reason(StrEnum):
    """Stable codes beside those of `RecordFault`."""

    NO_IDENTITY = "no_identity"
    LINKEDIN_URL_INVALID = "linkedin_url_invalid"
    EMAIL_INVALID = "email_invalid"
    DUPLICATE_IN_RUN = "duplicate_in_run"
    ALREADY_SENT = "already_sent"
    EXCLUDED_EMAIL = "excluded_email"
    EXCLUDED_DOMAIN = "excluded_domain"
    SUPPRESSED = "suppressed"
    FORGOTTEN = "forgotten"
    REFUSED_BY_API = "refused_by_api"
    OUTCOME_UNKNOWN = "outcome_unknown"
    NOT_SENT = "not_sent"
    CONNECTION_TEST = "connection_test"
