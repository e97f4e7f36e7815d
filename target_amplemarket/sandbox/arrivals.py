"""The commit log gathered by list, as a test reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from target_amplemarket.sandbox.journal import Commit


@dataclass(frozen=True)
class CommittedList:
    """A list that arrived, with the commit of each call that made it or changed it, in their order.

    Attributes:
        calls: Commits, each of its API's own kind: `kind` and `leads` (`leads.all()` as they were sent) at least.
    """

    calls: list[Any]
    _held: Callable[[], list[dict[str, Any]]]

    @property
    def created(self) -> Any:
        """The commit that created it, of its API's own kind."""
        return self.calls[0]

    @property
    def additions(self) -> list[Any]:
        """The commits that added leads."""
        return [commit for commit in self.calls if commit.kind == "add"]

    @property
    def api(self) -> str:
        """Name of the API that it came by."""
        return str(self.created.api)

    @property
    def id(self) -> str:
        """The list's id, as the create call answered it."""
        return str(self.created.list_id)

    @property
    def name(self) -> str:
        """The list's name, as it was created."""
        return str(self.created.name)

    @property
    def type(self) -> str:
        """As in the request that created it."""
        return str(self.created.type)

    @property
    def committed_s(self) -> float:
        """When it was committed, in seconds since 1970 on the sandbox's clock."""
        return float(self.created.at_s)

    @property
    def leads(self) -> list[dict[str, Any]]:
        """Every lead of every call, also those that came a second time, exactly as sent; decoded at each reading."""
        return [lead for commit in self.calls for lead in commit.leads.all()]

    @property
    def lead_count(self) -> int:
        """How many `leads` there are."""
        return sum(len(commit.leads) for commit in self.calls)

    @property
    def persons(self) -> list[dict[str, Any]]:
        """Whom (or which companies) the list held when the log was read, as its API would show them."""
        return self._held()


def committed_lists(
    commits: Iterable[Commit], held: Callable[[Sequence[Commit]], Callable[[], list[dict[str, Any]]]]
) -> list[CommittedList]:
    """Gather commits by list, in the order of the lists' creation.

    Args:
        commits: In their order.
        held: Given the commits of one list, what makes the objects that the list holds.
    """
    found: dict[tuple[str, str], list[Commit]] = {}
    for commit in commits:
        found.setdefault((commit.api, commit.list_id), []).append(commit)
    return [CommittedList(calls, held(calls)) for calls in found.values()]
