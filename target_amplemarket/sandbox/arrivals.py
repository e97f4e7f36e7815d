"""The commit log gathered by list, as a test reads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from target_amplemarket.sandbox.journal import Commit
from target_amplemarket.sandbox.validation import Options


@dataclass(frozen=True)
class CommittedList:
    """A list that arrived: the commit that created it, and those that added to it, in their order."""

    created: Commit
    additions: list[Commit] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The list's id, as the create call answered it."""
        return self.created.list_id

    @property
    def name(self) -> str:
        """The list's name."""
        return self.created.name

    @property
    def owner(self) -> str:
        """E-mail of the owner."""
        return self.created.owner

    @property
    def type(self) -> str:
        """As in requests: `linkedin`, `email` or `titles_and_company`."""
        return self.created.type

    @property
    def options(self) -> Options:
        """The paid options."""
        return self.created.options

    @property
    def committed_s(self) -> float:
        """When it was committed, in seconds since 1970 on the sandbox's clock."""
        return self.created.at_s

    @property
    def leads(self) -> list[dict[str, Any]]:
        """Every lead, also the added ones, exactly as sent; decoded anew at each reading."""
        return [lead for commit in (self.created, *self.additions) for lead in commit.leads.all()]

    @property
    def lead_count(self) -> int:
        """How many leads there are."""
        return sum(len(commit.leads) for commit in (self.created, *self.additions))


def committed_lists(commits: Iterable[Commit]) -> list[CommittedList]:
    """Gather commits by list, in the order of the lists' creation."""
    found: dict[str, CommittedList] = {}
    for commit in commits:
        if commit.kind == "create":
            found[commit.list_id] = CommittedList(commit)
        else:
            found[commit.list_id].additions.append(commit)
    return list(found.values())
