"""Commands about lists that were sent: which have arrived, and what became of them."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from target_amplemarket.cli.options import Setup, config_option, format_option
from target_amplemarket.cli.tables import figures_console, figures_table
from target_amplemarket.errors import ListsHeld, SettingsError, StorageError

if TYPE_CHECKING:
    from target_amplemarket.config import Settings
    from target_amplemarket.results.recovery import Recovered
    from target_amplemarket.results.yields import CollectSummary, ListYield, Yield

LOGGER: Final = logging.getLogger("target-amplemarket")


@click.command()
@config_option
def reconcile(setup: Setup) -> None:
    """Ask the API about the lists whose outcome is not known, as every run does before it reads anything.

    Ends with 7 if some stay held.
    """
    from target_amplemarket.runner import settle_outbox

    recovered = settle_outbox(setup.settings())
    for each in recovered:
        _print_settled(each)
    if not recovered:
        click.echo("no list is without an outcome")
    if alarms := [each.alarm for each in recovered if each.alarm]:
        raise ListsHeld("; ".join(alarms))
    if held := [each for each in recovered if each.verdict.value == "held"]:
        raise ListsHeld(
            f"still held: {len(held)} of the lists above; look for the markers in the account, then use `resolve`"
        )


@click.command()
@click.argument("marker")
@click.option("--as", "verdict", type=click.Choice(["sent", "absent"]), required=True, help="What the account shows.")
@config_option
def resolve(marker: str, verdict: str, setup: Setup) -> None:
    """Settle the held list with MARKER in its name as you found it in the account.

    `sent`: it is there; its people are never sent again. `absent`: it is not; they may be sent when their records are
    read again.
    """
    from target_amplemarket.results.recovery import Verdict
    from target_amplemarket.runner import resolve_list

    _print_settled(resolve_list(setup.settings(), marker.strip("[]").upper(), Verdict(verdict)))


def _print_settled(each: Recovered) -> None:
    click.echo(f"{each.verdict.value}: {each.entry.intent.name} ({each.entry.leads.num_rows:,} leads)")


@click.command()
@config_option
@click.option("--run", default="all", show_default=True, help="A run id, `last` or `all`: whose lists.")
@click.option("--list", "lists", multiple=True, help="Id of a list, also to collect it once more; may be repeated.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0), default=0, show_default=True,
    help="Seconds to wait for lists that are still processed; 0 asks each once.",
)  # fmt: skip
@format_option
@click.option("--to-singer", is_flag=True, help="Write the entries to standard output as a Singer stream.")
@click.option(
    "--state", "state_file", type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="With --to-singer: the last STATE of it; lists that it covers are left out.",
)  # fmt: skip
def collect(
    setup: Setup, run: str, lists: tuple[str, ...], wait_s: float, output: str, state_file: Path | None,
    *, to_singer: bool,
) -> None:  # fmt: skip
    """Read back what the lists became that were sent: people found, e-mails, phones, beside the records' keys.

    Each list is written once, when it has ended; run again after whatever stopped it. Ends with 7 while lists are still
    processed, and with 0 with --to-singer, since the next call brings the rest.
    """
    if to_singer:
        if lists or run != "all":
            raise SettingsError("--to-singer goes on from its STATE: leave out --run and --list")
        _collect_to_singer(setup.settings(), wait_s, state_file)
        return
    from target_amplemarket.results.collect import collect as collect_lists
    from target_amplemarket.results.sent_lists import sent_lists
    from target_amplemarket.results.yields import collect_summary

    settings = setup.settings()
    done = collect_lists(settings, run=run, lists=lists, wait_s=wait_s)
    path = Path(settings.results_path)
    wanted = set(lists) or {each.list_id for each in sent_lists(path, run)}
    summary = collect_summary(path, wanted.__contains__, open_lists=[e.list_id for e in done.open], failed=done.failed)
    if output == "json":
        click.echo(summary.json())
    else:
        _show_yields(summary)
    done.check()


def _collect_to_singer(settings: Settings, wait_s: float, state_file: Path | None) -> None:
    from target_amplemarket.results.collect import collect as collect_lists
    from target_amplemarket.results.entry_stream import EntryStream, read_bookmark

    stream = EntryStream(_write_line, read_bookmark(state_file.read_bytes() if state_file else b"{}"))
    stream.begin()
    done = collect_lists(settings, wait_s=wait_s, take=stream.emit)
    LOGGER.info("%s entries emitted; %d lists not ended yet", f"{stream.record_count:,}", len(done.open))
    done.open.clear()  # the next call brings them; a pipeline would take another exit code for a failure
    done.check()


def _write_line(line: bytes) -> None:
    try:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except OSError as error:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  # so that nothing is written there at the end
        raise StorageError(
            f"standard output cannot be written: {error.strerror}; run again from the last STATE"
        ) from None


def _show_yields(summary: CollectSummary) -> None:
    console = figures_console()

    def show(title: str, rows: list[tuple[str, Yield]]) -> None:
        table = figures_table(
            [title],
            ["sent", "entries", "missing", "unmatched", "found", "e-mail", "deliverable", "ready", "phone"],
        )
        for name, counts in rows:
            figures = (
                counts.sent, counts.entries, counts.missing, counts.unmatched, counts.found, counts.with_email,
                counts.deliverable, counts.ready, counts.with_phone,
            )  # fmt: skip
            table.add_row(name, *(f"{figure:,}" for figure in figures))
        console.print(table)
        console.print()

    def name_of(each: ListYield) -> str:
        return each.list_name if each.list_status == "completed" else f"{each.list_name} ({each.list_status})"

    if summary.lists:
        show("list", [(name_of(each), each.counts) for each in summary.lists])
        show("stream", list(summary.streams.items()))
        show("owner", [(name or "unknown", counts) for name, counts in summary.owners.items()])
        show("all", [(f"{len(summary.lists):,} lists", summary.total)])
    else:
        console.print("no list has been collected")
    for list_id in summary.open:
        console.print(f"still processed: {list_id}", markup=False)
    for list_id, reason in summary.failed.items():
        console.print(f"not read: {list_id} ({reason})", markup=False)
