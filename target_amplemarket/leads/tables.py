"""The two Arrow schemas that records are sorted into: leads, and rejections with their reason."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import pyarrow as pa

from target_amplemarket.leads.fingerprints import FINGERPRINT

FURTHER_FIELDS: Final = (
    pa.field("first_name", pa.string()),
    pa.field("last_name", pa.string()),
    pa.field("person_id", pa.string()),
    pa.field("company_id", pa.string()),
    pa.field("phones", pa.list_(pa.string())),
    pa.field("city", pa.string()),
    pa.field("country", pa.string()),
    pa.field("seniority", pa.string()),
    pa.field("departments", pa.list_(pa.string())),
)
"""Lead fields that few services take; null columns elsewhere."""

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
        *FURTHER_FIELDS,
        pa.field("extra", pa.string()),  # JSON object of further flat strings
        pa.field("linkedin_fingerprint", FINGERPRINT),
        pa.field("email_fingerprint", FINGERPRINT),
        pa.field(
            "title_company_fingerprint", FINGERPRINT
        ),  # the service's own id, or what leads with nothing else have
        pa.field("version_fingerprint", FINGERPRINT, nullable=False),
        pa.field("reason", pa.string()),  # an identity that was given and could not be used
        pa.field("field", pa.string()),  # the lead field that this reason is about
        pa.field("detail", pa.string()),
        pa.field("record", pa.string()),  # where the settings keep it; other forms: `kept_records`
    ]
)


def with_record_type(schema: pa.Schema, kind: pa.DataType) -> pa.Schema:
    """A schema of leads whose records are kept in another form; see `leads.kept_records`."""
    return schema.set(schema.get_field_index("record"), pa.field("record", kind))


MAPPED: Final = with_record_type(LEADS, pa.dictionary(pa.int32(), pa.string()))
"""`LEADS` before they are in a list: records point into their block, of which they are copied once."""

OLDER_LEADS: Final = pa.schema([field for field in LEADS if field not in FURTHER_FIELDS])
"""What outbox files hold that were written before there were further fields."""

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


def widened(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in the columns of a schema, in its order; those that they lack are null."""
    count, names = rows.num_rows, set(rows.column_names)
    columns = [rows.column(field.name) if field.name in names else pa.nulls(count, field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


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
    PERSON_ID_INVALID = "person_id_invalid"
    COMPANY_ID_INVALID = "company_id_invalid"
    DUPLICATE_IN_RUN = "duplicate_in_run"
    ALREADY_SENT = "already_sent"
    EXCLUDED_EMAIL = "excluded_email"
    EXCLUDED_DOMAIN = "excluded_domain"
    SUPPRESSED = "suppressed"
    FORGOTTEN = "forgotten"
    REFUSED_BY_API = "refused_by_api"
    OUTCOME_UNKNOWN = "outcome_unknown"
    NOT_SENT = "not_sent"
    ALREADY_IN_LIST = "already_in_list"
    NOT_ADDED = "not_added"
    NOT_IN_LIST = "not_in_list"
    CONNECTION_TEST = "connection_test"
