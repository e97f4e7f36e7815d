"""Commands about people: who was sent more than once, and what a results folder keeps of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from target_amplemarket.cli.options import Setup, folder_options, format_option
from target_amplemarket.errors import GuardStop, StorageError


@click.command()
@folder_options
@click.option(
    "--csv", "csv_files", multiple=True, type=click.Path(dir_okay=False, path_type=Path),
    help="An export of an older list, with a header; may be repeated.",
)  # fmt: skip
@format_option
def audit(setup: Setup, csv_files: tuple[Path, ...], output: str) -> None:
    """Name who was sent more than once, over all results and over exports of older lists.

    Works without a results folder, too. People are told apart as a run does it. Ends with 5 if there are any.
    """
    from target_amplemarket.leads.map_block import Rules
    from target_amplemarket.lists.credits import prices_of
    from target_amplemarket.results import audit as audits
    from target_amplemarket.results.ledger import compared_key
    from target_amplemarket.results.older_lists import OlderList, comparable
    from target_amplemarket.services import intake_of

    settings, folder = setup.settings_without_account(), setup.folder
    if not folder.is_dir() and (setup.results_path is not None or not csv_files):
        raise StorageError(f"there is no results folder {folder}; name one, or exports with `--csv`")
    rules = Rules(comparable(intake_of(settings)), keep_records=False, fingerprint_key=compared_key(folder))
    prices = prices_of(dataclasses.replace(settings, enrich=True, validate_email=True, reveal_phone_numbers=True))
    older = [OlderList(path, rules) for path in csv_files]
    found = audits.audit(folder if folder.is_dir() else None, older, prices)
    lines = audits.audit_lines(found, prices)
    click.echo(audits.audit_json(found) if output == "json" else "\n".join(lines))
    if found.people:
        raise GuardStop(f"sent more than once: {audits.counted_people(len(found.people))}")


@click.command()
@folder_options
@click.option("--email", "emails", multiple=True, help="An e-mail of the person; may be repeated, as the next two.")
@click.option("--linkedin-url", "profiles", multiple=True, help="A LinkedIn profile of the person.")
@click.option("--key", "keys", multiple=True, help="A record key: the value of one property, or all of it as JSON.")
@click.option("--stream", help="The stream of the records that --key names.")
@format_option
def forget(
    setup: Setup, emails: tuple[str, ...], profiles: tuple[str, ...], keys: tuple[str, ...], stream: str | None,
    output: str,
) -> None:  # fmt: skip
    """Remove one person from the results folder, and never send this person again.

    All options are of one person. If it is stopped, run it again: it goes on where it was. What the API's account and
    the sources hold is not changed, nor is the suppression file.
    """
    from target_amplemarket.results.forget import forget_in, read_person

    person = read_person(emails=emails, profiles=profiles, keys=keys, stream=stream)
    done = forget_in(setup.folder, person)
    if output == "json":
        click.echo(_as_json(done))
        return
    click.echo(f"{done.rows:,} result rows in {done.result_files:,} files changed")
    click.echo(f"{done.outbox_leads:,} leads of lists without an outcome in {done.outbox_files:,} files changed")
    click.echo(f"{done.removed_files:,} reports and read-back lists removed")
    click.echo(f"{done.tombstones:,} fingerprints added: the person is blocked by them")
    if done.is_shared:
        click.echo(
            "an e-mail stood with several LinkedIn profiles or ids: of these, only those that you named are forgotten"
        )


@click.command()
@folder_options
@click.option("--older-than", required=True, help="Days, as 90d, or a date, as 2026-01-31.")
@format_option
def purge(setup: Setup, older_than: str, output: str) -> None:
    """Drop records and record keys of old result rows; who was sent is still known, and not sent again."""
    from target_amplemarket.clock import SystemClock
    from target_amplemarket.results.purge import cutoff_of, purge_in

    cutoff = cutoff_of(older_than, SystemClock().now())
    done = purge_in(setup.folder, cutoff)
    if output == "json":
        click.echo(_as_json(done))
        return
    click.echo(f"{done.rows:,} rows in {done.files:,} files lost record and key: older than {cutoff:%Y-%m-%d %H:%M}")
    click.echo(f"{done.removed_files:,} reports removed")
    if done.lists_kept:
        click.echo(f"{done.lists_kept:,} lists that old are without an outcome and keep their leads: `reconcile` them")


def _as_json(done: object) -> bytes:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(done), indent=2)
