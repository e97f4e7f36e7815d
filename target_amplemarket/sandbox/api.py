"""What an API is to the sandbox: endpoints, a way to word refusals, and lists that people can look at.

A further API is one class that derives from `Api`. Faults, limits, the logs, the page and the control endpoints know
nothing else of it; `switches.py` registers it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from starlette.routing import compile_path

from target_amplemarket.sandbox.exchange import Answer, Ask, Pending

if TYPE_CHECKING:
    from target_amplemarket.sandbox.journal import Commit
    from target_amplemarket.sandbox.switches import Switches
    from target_amplemarket.sandbox.world import World

Role = Literal["create", "add", "write", "listing", "reading", "read"]
"""What a call is to the leads: makes a list, adds to one, writes something else, tells the lists, reads one back, or
reads something else. Faults that name no endpoint strike by it."""


@dataclass(frozen=True)
class Endpoint:
    """One method on one path.

    Attributes:
        method: As `POST`.
        path: A template, as `/lists/{id}`.
        answer: Given the API and the request, the answer, or a commit that is still to be made.
        role: What such a call is to the leads.
        is_open: Whether it answers without a token.
    """

    method: str
    path: str
    answer: Callable[[Any, Ask], Answer | Pending]
    role: Role = "read"
    is_open: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Figure = tuple[float, str]
"""A number, and its name for people."""


@dataclass(frozen=True)
class ShownList:
    """A list as people see it among others.

    `says` tells in words what else there is to it, `figures` what is seen at a glance of it: numbers and their names.
    """

    api: str
    id: str
    name: str
    owner: str
    type: str
    status: str
    lead_count: int
    arrived_s: float
    says: str = ""
    figures: Callable[[], list[Figure]] = list

    def holds(self, search: str) -> bool:
        """Whether a word is found in it."""
        texts = (self.name, self.owner, self.type, self.status, self.id, self.api)
        return any(search in text.lower() for text in texts)


class Api(ABC):
    """One API with all that happened to it. A reset makes it anew.

    Attributes:
        name: In logs and control paths.
        title: For people.
        root: What its paths begin with; unknown paths are answered by the API with the longest that fits.
        endpoints: Everything it answers to.
        contract: An OpenAPI text that it keeps to.
        columns: Members that are shown first of leads.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    root: ClassVar[str] = ""
    endpoints: ClassVar[Sequence[Endpoint]]
    contract: ClassVar[Path | None] = None
    columns: ClassVar[Sequence[str]] = ()

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def switches(self) -> Switches:
        """How the sandbox answers."""
        return self.world.switches

    def now_s(self) -> float:
        """The sandbox's time."""
        return self.world.now_s()

    @abstractmethod
    def error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        """An error of this status, as the API words one."""

    def authorize(self, token: str) -> Answer | None:
        """The refusal of whoever brings this token, empty where there is none."""
        return None if token else self.error(401, "The token is missing.")

    @property
    def requests_per_minute(self) -> int:
        """Requests a minute before 429; 0 for no limit."""
        return 0

    def issue_token(self) -> str | None:
        """A token that is good from now on; None where there is no such thing."""
        return None

    def switched(self, names: Collection[str]) -> None:  # noqa: B027 - most APIs keep nothing made out of switches
        """These switches have just been set."""

    def state(self) -> dict[str, Any]:
        """Counts of its own."""
        return {}

    def figures(self) -> list[Figure]:
        """What people see at a glance beside the counts of lists and leads."""
        return []

    def lists(self) -> Sequence[ShownList]:
        """Every list that arrived, oldest first."""
        return ()

    def held(self, calls: Sequence[Commit]) -> Callable[[], list[dict[str, Any]]]:
        """What a list holds by now that these commits made; the objects are made when asked for.

        By default that is whatever was sent. The function must not look at what may change still: another thread
        calls it.
        """
        return lambda: [lead for commit in calls for lead in commit.leads.all()]


ApiMaker = Callable[["World"], Api]


@dataclass(frozen=True)
class Place:
    """What a request line names: an API, and an endpoint with its parameters if there is one."""

    api: Api
    endpoint: Endpoint | None
    params: Mapping[str, str]
    methods: Sequence[str] = ()


class Directory:
    """Finds what a request line names."""

    def __init__(self, apis: Sequence[Api]) -> None:
        self._apis = apis
        templates = dict.fromkeys((endpoint.path, api) for api in apis for endpoint in api.endpoints)
        self._patterns = [(api, path, compile_path(path)[0]) for path, api in templates]

    def find(self, method: str, path: str) -> Place:
        """The place of a request line."""
        for api, template, pattern in self._patterns:
            if found := pattern.match(path):
                here = {endpoint.method: endpoint for endpoint in api.endpoints if endpoint.path == template}
                return Place(api, here.get(method), found.groupdict(), tuple(here))
        fitting = [api for api in self._apis if path.startswith(api.root)] or self._apis
        return Place(max(fitting, key=lambda api: len(api.root)), None, {})
