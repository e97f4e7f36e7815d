"""People whom Lance knows: found by LinkedIn URL, or asked for by id. Questions only, so that nothing is sent by them.

A search writes who it finds into Lance's own database of people (entities/prospects-person-search); whether it costs
credits is *not documented*, so people are only looked for where `lance_find_people` says so.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from target_amplemarket.leads.linkedin import PREFIX, canonical_profile_url
from target_amplemarket.services.calls import Calls, decoded_as
from target_amplemarket.services.documents import safe_id
from target_amplemarket.services.lance_bodies import Hits, Person, Prospect
from target_amplemarket.services.protocol import CannotAsk, LeadRefusal, NotSent, RefusalKind, Refused

PERSON: Final = "/api/v1/entities/prospects/person"
URLS_PER_SEARCH: Final = 100  # also the largest page
PAGES_PER_SEARCH: Final = 10
_STOPPING: Final = {401: RefusalKind.CREDENTIALS, 402: RefusalKind.CREDITS, 403: RefusalKind.CREDENTIALS}
_NO_PERSON: Final = frozenset({400, 404, 422})


@dataclass(frozen=True, slots=True)
class _Known:
    """What Lance says of somebody."""

    id: str
    first_name: str | None
    last_name: str | None
    company_id: str | None


class People:
    """Looks people up; safe to use from several threads.

    Args:
        calls: To the API.
        is_id_needed: Whether people without id cannot be sent.
    """

    def __init__(self, calls: Calls, *, is_id_needed: bool) -> None:
        self._calls = calls
        self._is_id_needed = is_id_needed
        self._remembering = threading.Lock()
        self._known: dict[str, _Known] = {}  # by profile, until they are in a list

    def found(self, prospects: Sequence[Prospect]) -> list[Prospect] | Refused | NotSent:
        """The people with id, names and company filled in as far as they are found.

        Refused are just those who cannot be sent as they are; who was found is remembered, so that the rest is not
        looked for again. The status is that of the search, which says so by leaving them out.
        """
        profiles = [None if prospect.id else _profile(prospect.linkedin_url) for prospect in prospects]
        known = self._known_of(profiles)
        if not isinstance(known, dict):
            return known
        filled = [_filled(one, known.get(profile or "")) for one, profile in zip(prospects, profiles, strict=True)]
        refusals = [
            _refusal(position, "prospects", is_known=prospect.id is not None)
            for position, prospect in enumerate(filled)
            if not (prospect.first_name and prospect.last_name) or (self._is_id_needed and not prospect.id)
        ]
        return _refused(refusals, 200) if refusals else filled

    def named(self, person_ids: Sequence[str]) -> list[Prospect] | Refused | NotSent:
        """People by id with the names that add-prospects requires, one call each."""
        prospects, refusals, status = [], [], 200
        for position, person_id in enumerate(person_ids):
            answer = self._calls.read(f"{PERSON}/{person_id}", endpoint=f"{PERSON}/{{id}}")
            person = answer if isinstance(answer, CannotAsk) else decoded_as(answer, Person)
            if isinstance(person, CannotAsk) and person.http_status not in _NO_PERSON:
                return _outcome_of(person)
            first, last = (None, None) if isinstance(person, CannotAsk) else _names(person)
            if first and last:
                prospects.append(Prospect(id=person_id, first_name=first, last_name=last))
                continue
            status = person.http_status or status if isinstance(person, CannotAsk) else status
            refusals.append(_refusal(position, "personIds", is_known=isinstance(person, Person)))
        return _refused(refusals, status) if refusals else prospects

    def forget(self, prospects: Sequence[Prospect]) -> None:
        """They are in a list: nobody asks for them again."""
        with self._remembering:
            for prospect in prospects:
                self._known.pop(_profile(prospect.linkedin_url) or "", None)

    def _known_of(self, profiles: Sequence[str | None]) -> dict[str, _Known] | Refused | NotSent:
        named = {profile for profile in profiles if profile is not None}
        with self._remembering:
            known = {profile: self._known[profile] for profile in named if profile in self._known}
        wanted = sorted(named - known.keys())
        for start in range(0, len(wanted), URLS_PER_SEARCH):
            found = self._search(wanted[start : start + URLS_PER_SEARCH])
            if not isinstance(found, dict):
                return found
            known |= found
            with self._remembering:
                self._known |= found
        return known

    def _search(self, profiles: Collection[str]) -> dict[str, _Known] | Refused | NotSent:
        """Who is found, by profile.

        That the filter is called `socialMediaLink`, stands in `contact` and has the form of the company page's example
        is inferred; so hits count only by their own URL. More pages than the people asked for can fill mean that the
        filter is not understood, and then nobody can be said to be unknown.
        """
        found: dict[str, _Known] = {}
        for page_no in range(PAGES_PER_SEARCH):
            hits = self._page(profiles, page_no)
            if not isinstance(hits, Hits):
                return hits
            for hit in hits.content:
                profile, person_id = _profile(hit.linkedin_url), safe_id(hit.id)
                if profile in profiles and profile is not None and person_id is not None:
                    found.setdefault(profile, _Known(person_id, *_names(hit), safe_id(hit.company_id)))
            if len(found) == len(profiles) or _is_last(hits, page_no):
                return found
        return NotSent("search_too_long")

    def _page(self, profiles: Collection[str], page_no: int) -> Hits | Refused | NotSent:
        by_url = {"socialMediaLink": {"any": {"include": list(profiles)}}}
        question = {"page": page_no, "size": URLS_PER_SEARCH, "contact": by_url}
        answer = self._calls.read(PERSON, question=msgspec.json.encode(question))
        hits = answer if isinstance(answer, CannotAsk) else decoded_as(answer, Hits)
        return _outcome_of(hits) if isinstance(hits, CannotAsk) else hits


def _is_last(hits: Hits, page_no: int) -> bool:
    if isinstance(hits.last, bool):
        return hits.last or not hits.content
    if isinstance(hits.total_pages, int):
        return hits.total_pages <= page_no + 1
    return len(hits.content) < URLS_PER_SEARCH


def _filled(prospect: Prospect, known: _Known | None) -> Prospect:
    """What the record says comes before what Lance says."""
    if known is None:
        return prospect
    return msgspec.structs.replace(
        prospect,
        id=known.id,
        first_name=prospect.first_name or known.first_name,
        last_name=prospect.last_name or known.last_name,
        company_id=prospect.company_id or known.company_id,
    )


def _refusal(position: int, array: str, *, is_known: bool) -> LeadRefusal:
    code = "person_without_name" if is_known else "person_not_found"
    if array == "personIds":
        return LeadRefusal(position, code, f"/personIds/{position}", "person_id")
    return LeadRefusal(position, code, f"/prospects/{position}/linkedinUrl", "linkedin_url")


def _refused(refusals: Sequence[LeadRefusal], http_status: int) -> Refused:
    return Refused(RefusalKind.LEADS, http_status, refusals[0].code, refusals[0].pointer, tuple(refusals))


def _outcome_of(failure: CannotAsk) -> Refused | NotSent:
    """Nothing was sent; what no repeat can heal stops the run."""
    status = failure.http_status
    if status is not None and failure.reason in {"refused", "redirected"}:
        return Refused(_STOPPING.get(status, RefusalKind.ADDRESS), status, "search_refused")
    return NotSent(failure.reason if failure.reason in {"stopped", "rate_limited"} else "search_failed")


def _names(person: Person) -> tuple[str | None, str | None]:
    return _text(person.first_name), _text(person.last_name)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _profile(url: object) -> str | None:
    """The canonical form of a LinkedIn URL, or None for what is none."""
    profile = canonical_profile_url(url) if isinstance(url, str) else None
    return profile if profile is not None and profile.startswith(PREFIX) else None
