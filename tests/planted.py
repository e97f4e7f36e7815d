"""Tests of the tests: defects that each turn the suite red. `python -m tests.planted` plants them one by one in a copy.

`tests/test_planted.py` checks in every run that each of them can still be planted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "target_amplemarket",
    "tests",
    "docs",
    "pyproject.toml",
    "README.md",
    "meltano.yml",
    "Makefile",
    "CHANGELOG.md",
)


@dataclass(frozen=True, slots=True)
class Planted:
    """A defect: in `file`, `right` becomes `wrong`, and some of `tests` turn red."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


DEFECTS = (
    Planted(
        "send before the outbox is written",
        "delivery/deliver.py",
        '        file_name = self._write_intent(current, body)\n        outcome: Outcome = NotSent("stopped")\n',
        "        outcome: Outcome = sender.service.send(body)\n        file_name = self._write_intent(current, body)\n",
        ("tests/delivery/test_deliver.py",),
    ),
    Planted(
        "an evicted lead goes again",
        "delivery/deliver.py",
        "    stays = pc.invert(pc.is_in(",
        "    stays = (pc.is_in(",
        ("tests/delivery/test_deliver.py",),
    ),
    Planted(
        "a held list is forgotten",
        "delivery/deliver.py",
        "    delivery.outbox_files = [name for name in delivery.outbox_files if name != file_name]\n",
        "    delivery.outbox_files = [*delivery.outbox_files, file_name]\n",
        ("tests/delivery/test_deliver.py",),
    ),
    Planted(
        "an unknown outcome is sent again without asking",
        "delivery/deliver.py",
        "            absent = self._ask(current, outcome)\n",
        "            absent: LeadList | None = current\n",
        ("tests/test_pipeline.py",),
    ),
    Planted(
        "no second look before believing that a list is absent",
        "delivery/reconcile.py",
        "    for pause_s in (settle_s, settle_s / 2):\n",
        "    for pause_s in (settle_s,):\n",
        ("tests/delivery", "tests/test_pipeline.py"),
    ),
    Planted(
        "no settling before the first look",
        "delivery/reconcile.py",
        "            clock.sleep(pause_s, stop)\n",
        "            pass\n",
        ("tests/delivery", "tests/test_pipeline.py"),
    ),
    Planted(
        "a list that is found counts as whole without being read back",
        "delivery/read_back.py",
        " if isinstance(found, Found) and service.adds_to_lists else found\n",
        " if isinstance(found, Found) and not service.adds_to_lists else found\n",
        ("tests/delivery/test_adding.py",),
    ),
    Planted(
        "after a lost answer the whole call goes again instead of those who are missing",
        "delivery/deliver.py",
        "        return _chosen(current, seen.missing) if seen.missing else None\n",
        "        return current if seen.missing else None\n",
        ("tests/delivery/test_adding.py",),
    ),
    Planted(
        "the intent holds the leads of the first call only",
        "delivery/deliver.py",
        "self.sender.outbox.write(self.delivery.lead_list, body)",
        "self.sender.outbox.write(current, body)",
        ("tests/delivery/test_adding.py",),
    ),
    Planted(
        "the intent of a list is forgotten while the answer to its last call is out",
        "delivery/deliver.py",
        "        delivery.outbox_files = others if is_open else [*others, file_name]\n",
        "        delivery.outbox_files = [*others, file_name]\n",
        ("tests/delivery/test_adding.py",),
    ),
    Planted(
        "recovery frees people who are in the list",
        "results/recovery.py",
        "        if not any(is_there):\n",
        "        if not all(is_there):\n",
        ("tests/results/test_recovery.py",),
    ),
    Planted(
        "recovery takes a list that lacks people for whole",
        "results/recovery.py",
        "entry.leads.filter(pa.array(is_there)))",
        "entry.leads)",
        ("tests/results/test_recovery.py",),
    ),
    Planted(
        "a list that lacks people is asked for once only",
        "delivery/reconcile.py",
        "    return isinstance(answer, Absent) or (isinstance(answer, Found) and not answer.is_whole)\n",
        "    return isinstance(answer, Absent)\n",
        ("tests/delivery", "tests/results"),
    ),
    Planted(
        "people who came twice into a list go unsaid",
        "delivery/audit.py",
        "    return repeated_text(marker, count) if count else None\n",
        "    return repeated_text(marker, count) if count > 9 else None\n",
        ("tests/crash/test_withheld.py",),
    ),
    Planted(
        "502 taken for a refusal",
        "services/statuses.py",
        "    return None if 200 <= status < 500 else",
        "    return None if 200 <= status < 503 else",
        ("tests/services/test_amplemarket.py",),
    ),
    Planted(
        "429 taken for an unknown outcome",
        "services/statuses.py",
        '        return NotSent("rate_limited", answer.retry_after_s, status)\n',
        '        return Unknown("rate_limited", status)\n',
        ("tests/services/test_amplemarket.py",),
    ),
    Planted(
        "the file is not synced before it is renamed",
        "storage/durable.py",
        "            self._system.fsync(descriptor)\n        finally:\n            self._system.close(descriptor)\n\n"
        "    def _sync_folder",
        "            pass\n        finally:\n            self._system.close(descriptor)\n\n    def _sync_folder",
        ("tests/storage/test_durable.py",),
    ),
    Planted(
        "the folder is not synced after the rename",
        "storage/durable.py",
        "            self._sync_folder(target.parent)\n",
        "            pass\n",
        ("tests/storage/test_durable.py",),
    ),
    Planted(
        "the watermark is one ahead",
        "singer/watermark.py",
        "        return min(self._held.values(), default=self.last_read + 1) - 1\n",
        "        return min(self._held.values(), default=self.last_read + 1)\n",
        ("tests/singer/test_watermark.py",),
    ),
    Planted(
        "STATE leaves before the rows of records that go into no list",
        "recording.py",
        '        self.watermark.hold("rows", int(rows.column("record_no")[0].as_py()))\n',
        "        pass\n",
        ("tests/test_pipeline.py", "tests/test_target.py", "tests/test_protocol_machine.py"),
    ),
    Planted(
        "STATE passes a held list",
        "delivery/deliver.py",
        " and not any(p.is_held for p in self.parts)\n",
        "\n",
        ("tests/test_pipeline.py", "tests/delivery", "tests/test_protocol_machine.py"),
    ),
    Planted(
        "STATE passes people of held lists",
        "taking.py",
        '            watermark.hold("held", first_record_no)\n',
        "            pass\n",
        ("tests/test_pipeline.py",),
    ),
    Planted(
        "the ledger forgets the outbox",
        "results/ledger.py",
        "        people.remember(entry.leads, Known.HELD)\n",
        "        pass\n",
        ("tests/results/test_ledger.py",),
    ),
    Planted(
        "the outbox is not recovered at the start",
        "runner.py",
        "        recovered = self.recover(outbox)\n",
        "        recovered: list[Recovered] = []\n",
        ("tests/test_pipeline.py",),
    ),
    Planted(
        "held rows stay beside those of the outcome",
        "results/recovery.py",
        "        self._write(entry, [settled, *freed, rows.filter(pc.invert(_is_among(rows, settled)))])\n",
        "        self._write(entry, [before, rows])\n",
        ("tests/test_pipeline.py", "tests/results"),
    ),
    Planted(
        "a list that is there twice goes unsaid",
        "delivery/audit.py",
        "        return alarm_text(marker, found.list_ids) if len(found.list_ids) > 1 else None\n",
        "        return alarm_text(marker, found.list_ids) if len(found.list_ids) > 2 else None\n",
        ("tests/test_pipeline.py",),
    ),
    Planted(
        "another account is asked about the lists of this one",
        "runner.py",
        "            self._check_account()\n        recovery",
        "            pass\n        recovery",
        ("tests/test_pipeline.py",),
    ),
    Planted(
        "the folder's lock is not taken",
        "storage/lock.py",
        "                raise _held_by_another(folder)\n",
        "                break\n",
        ("tests/storage/test_lock.py",),
    ),
    Planted(
        "a shared mailbox is one person",
        "leads/people.py",
        "            return (self._email if linkedin is None and third is None else self._email_alone).get(email)\n",
        "            return self._email.get(email)\n",
        ("tests/leads/test_people.py",),
    ),
    Planted(
        "a record is counted and gets no row",
        "taking.py",
        "        for rows in (*take.rows, take.screened.duplicates, take.screened.held):\n",
        "        for rows in (*take.rows, take.screened.held):\n",
        ("tests/test_pipeline.py",),
    ),
    Planted(
        "half of a fingerprint is compared",
        "leads/segments.py",
        "            is_it = low[at[open_keys]] == keys.low[open_keys]\n",
        "            is_it = np.ones(len(open_keys), np.bool_)\n",
        ("tests/leads/test_index.py", "tests/leads/test_people.py"),
    ),
    Planted(
        "small files are removed before the large one is durable",
        "results/compaction.py",
        '    folder.sync(f"results/{run_id}")\n',
        "    pass\n",
        ("tests/results/test_compaction.py",),
    ),
    Planted(
        "files that another one replaces are read as well",
        "results/reader.py",
        "        (replaced if counting and counting[-1].replaces(file) else counting).append(file)\n",
        "        counting.append(file)\n",
        ("tests/results/test_compaction.py",),
    ),
    Planted(
        "members that a SCHEMA does not name go unread",
        "singer/schema_types.py",
        "forbid_unknown_fields=True",
        "forbid_unknown_fields=False",
        ("tests/singer/test_schema_types.py",),
    ),
    Planted(
        "as many values as lines are taken for one a line",
        "singer/json_faults.py",
        "    return ends if is_sure and most_brackets",
        "    return ends if most_brackets",
        ("tests/singer/test_messages.py",),
    ),
    Planted(
        "a BATCH file that is cut counts as whole",
        "singer/arrow_files.py",
        "    if not _tail(file).endswith(end):\n",
        "    if not end:\n",
        ("tests/singer/test_batch.py",),
    ),
    Planted(
        "lists leave before the breaker is decided",
        "pipeline.py",
        "        while self._held_back and self._may_send:\n",
        "        while self._held_back:\n",
        ("tests/test_guards.py",),
    ),
    Planted(
        "STATE leaves past the breaker",
        "pipeline.py",
        "        if self._may_send and not self.breaker.is_past and not self",
        "        if self._may_send and not self",
        ("tests/test_guards.py",),
    ),
    Planted(
        "leads that the API refuses are no rejections",
        "pipeline.py",
        "        self.breaker.count_rows(self.recorder.record(delivery))\n",
        "        self.recorder.record(delivery)\n",
        ("tests/test_guards.py",),
    ),
    Planted(
        "a ceiling counts each block anew",
        "lists/guards.py",
        "            self._lead_count += count\n",
        "            self._lead_count = count\n",
        ("tests/lists/test_guards.py",),
    ),
    Planted(
        "a lead beyond the ceiling goes",
        "taking.py",
        "        self.screened = self.screened.before(record_no)\n",
        "",
        ("tests/test_guards.py",),
    ),
    Planted(
        "a dry run sends",
        "runner.py",
        "            in_flight=Rehearsal() if settings.dry_run else InFlight(",
        "            in_flight=InFlight(",
        ("tests/test_guards.py",),
    ),
    Planted(
        "a dry run lets STATE leave",
        "taking.py",
        "        if not self.settings.dry_run and not is_test:\n",
        "        if not is_test:\n",
        ("tests/test_guards.py",),
    ),
    Planted(
        "environment beats the flag for a dry run",
        "target.py",
        "            if dry_run:  # the word",
        "            if dry_run and not config.parse_env:  # the word",
        ("tests/test_guards.py",),
    ),
    Planted(
        "the connection test of Meltano is a stream like others",
        "taking.py",
        "            if block.stream.name == CONNECTION_TEST_STREAM:\n",
        "            if not block.stream.name:\n",
        ("tests/test_guards.py",),
    ),
    Planted(
        "enrichment is quoted without what it reveals",
        "lists/credits.py",
        '(prices["person_found"] + prices["email_revealed"])',
        'prices["person_found"]',
        ("tests/lists/test_credits.py", "tests/test_guards.py"),
    ),
    Planted(
        "an excluded person is sent",
        "taking.py",
        "        leads, excluded = self._without_excluded(block.stream.name, mapped.leads)\n",
        "        leads, excluded = mapped.leads, []\n",
        ("tests/test_exclusions.py",),
    ),
    Planted(
        "exclusion lists that cannot be read are passed over",
        "runner.py",
        '            if self.settings.exclusions == "require":\n',
        '            if self.settings.exclusions == "never":\n',
        ("tests/test_exclusions.py",),
    ),
    Planted(
        "an excluded domain excludes what only ends like it",
        "leads/domains.py",
        "        before = np.flatnonzero((self._bytes == _DOT) | (self._bytes == _AT))\n",
        "        before = np.arange(len(self._bytes))\n",
        ("tests/leads/test_exclusions.py",),
    ),
    Planted(
        "a person is removed before the tombstone is there",
        "results/forget.py",
        "        new = self._bury(tombstones, now)\n        removed = self._remove_copies()\n"
        "        outbox_files, outbox_leads = self._clean_outbox()\n"
        "        result_files, rows = self._clean_results()\n",
        "        removed = self._remove_copies()\n        outbox_files, outbox_leads = self._clean_outbox()\n"
        "        result_files, rows = self._clean_results()\n        new = self._bury(tombstones, now)\n",
        ("tests/results/test_forget.py",),
    ),
    Planted(
        "a person who was forgotten stays in the outbox",
        "results/forget.py",
        "                Outbox(self.folder, entry.intent.run_id).rewrite(entry, leads)\n",
        "                pass\n",
        ("tests/results/test_forget.py",),
    ),
    Planted(
        "a row that names the person loses whom it is about",
        "results/forget.py",
        "arrow_file(_cleaned(rows, is_theirs, _PERSONAL, is_named, _TEXTS)))\n",
        "arrow_file(_cleaned(rows, pc.or_(is_theirs, is_named), _PERSONAL, is_named, _TEXTS)))\n",
        ("tests/results/test_forget.py",),
    ),
    Planted(
        "purged rows forget who was sent",
        "results/purge.py",
        "        folder.write(name, arrow_file(rows))\n",
        "        folder.write(name, arrow_file(rows.filter(pc.invert(chosen))))\n",
        ("tests/results/test_purge.py",),
    ),
    Planted(
        "a list is collected before it has ended",
        "results/collect.py",
        "        if state.status not in ENDED:\n",
        '        if state.status == "queued":\n',
        ("tests/results/test_collect.py",),
    ),
    Planted(
        "entries that moved while they were read are taken as they came",
        "results/collect.py",
        "            if len(ids) == entries.num_rows and (",
        "            if (",
        ("tests/results/test_collect.py",),
    ),
    Planted(
        "an entry that could be several people's is given to the first",
        "results/matching.py",
        "        if len(found) == 1:\n            return Match(found[0], by)",
        "        if found:\n            return Match(found[0], by)",
        ("tests/results/test_collect.py",),
    ),
    Planted(
        "entries of people who were forgotten are kept",
        "results/collect.py",
        "rows.filter(is_kept)",
        "rows",
        ("tests/results/test_collect.py",),
    ),
    Planted(
        "the STATE of collected entries leaves before them",
        "results/entry_stream.py",
        "        rows, facts = read_enriched(file)\n",
        "        rows, facts = read_enriched(file)\n        self._write(_line({'type': 'STATE', 'value': {}}))\n",
        ("tests/results/test_entry_stream.py",),
    ),
)


def turns_red(defect: Planted) -> bool:
    """Plant the defect in a copy and run the tests that have to see it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, ignore=ignored) if source.is_dir() else shutil.copy(source, copy)
        path = copy / "target_amplemarket" / defect.file
        text = path.read_text(encoding="utf-8")
        assert text.count(defect.right) == 1, f"{defect.name}: not to be planted"
        path.write_text(text.replace(defect.right, defect.wrong), encoding="utf-8")
        tests = [name for name in defect.tests if (copy / name).exists()]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": folder}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=900, check=False)
        return done.returncode == 1


def main() -> int:
    """Plant every defect; returns 1 if one of them goes unseen."""
    with ThreadPoolExecutor(int(os.environ.get("JOBS", "4"))) as threads:
        seen = list(threads.map(turns_red, DEFECTS))
    for defect, is_seen in zip(DEFECTS, seen, strict=True):
        sys.stdout.write(f"{'red  ' if is_seen else 'GREEN'}  {defect.name}\n")
    sys.stdout.write(f"{sum(seen)} of {len(seen)} planted defects turn the suite red\n")
    return 0 if all(seen) else 1


if __name__ == "__main__":
    sys.exit(main())
