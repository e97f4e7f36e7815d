"""Whom a run must not send: gathered from the folder's tombstones, the suppression file and the account."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import pyarrow.compute as pc

from target_amplemarket.config import Settings
from target_amplemarket.leads.exclusions import ExcludedPeople, Source
from target_amplemarket.leads.fingerprints import Identity
from target_amplemarket.results.forgotten import read_tombstones
from target_amplemarket.services.protocol import Exclusions
from target_amplemarket.storage.durable import Folder

LOGGER: Final = logging.getLogger("target-amplemarket")


def local_exclusions(settings: Settings, folder: Folder, fingerprint_key: bytes) -> ExcludedPeople:
    """Whom tombstones and the suppression file exclude; read before anything else, so that a fault shows at once.

    Raises:
        SettingsError: The suppression file cannot be read.
        StorageError: The tombstones cannot be read.
    """
    people = ExcludedPeople(fingerprint_key, by_company_domain=settings.exclude_company_domains)
    tombstones = read_tombstones(folder).combine_chunks()
    for identity in (Identity.LINKEDIN, Identity.EMAIL, Identity.TITLE_COMPANY, Identity.RECORD_KEY):
        of_identity = tombstones.filter(pc.equal(tombstones.column("identity"), identity.value.decode()))
        if of_identity.num_rows:
            people.take_forgotten(identity, of_identity.column("fingerprint").combine_chunks())
    if settings.suppression_file is not None:
        from target_amplemarket.leads.suppression import take_suppression_file  # with what reads CSV and Parquet

        take_suppression_file(Path(settings.suppression_file), people)
    return people


def account_exclusions(settings: Settings, exclusions: Exclusions, fingerprint_key: bytes) -> ExcludedPeople:
    """Whom the account excludes; the log says how many."""
    people = ExcludedPeople(fingerprint_key, by_company_domain=settings.exclude_company_domains)
    taken = people.take(Source.ACCOUNT, emails=exclusions.emails, domains=exclusions.domains)
    LOGGER.info("the account excludes %s e-mails and %s domains", f"{taken.emails:,}", f"{taken.domains:,}")
    if taken.unreadable:
        LOGGER.warning(
            "%s entries of the account's exclusion lists are no e-mail and no domain that a lead could have, and "
            "exclude nobody",
            f"{taken.unreadable:,}",
        )
    return people
