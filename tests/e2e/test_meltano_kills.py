"""A real Meltano that is killed with everything it started, and started again as its user would.

After a kill Meltano takes the job for running, for five minutes from its last sign of life: `meltano run` refuses
until then, also after a later run with `--force`, which does not ask.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import yaml

from target_amplemarket import read_results
from target_amplemarket.sandbox import RunningSandbox
from tests.crash.effects import recorded_ids
from tests.crash.proof import IS_ALL, SEED, Tally, World, faults_in, large_world
from tests.e2e.project import Project, kill

KILLS_BY_WORLD = [1, 2] * 6 + [2] if IS_ALL else [1]
"""A second kill strikes a run that has to settle what the first one left."""
MOST_RUNS = 4
PATIENCE_S = 60.0
LONGEST_S = 2.0
"""A kill comes at most so long after its sign; sending lasts about as long."""
SETTINGS = {
    "api_key": "sandbox-key",
    "owner": "dana@northwind.example",
    "batch_size_rows": 10,
    "extra_fields": ["note"],
    "requests_per_minute": 6_000,
    "settle_seconds": 1,
}
TAP = f"""#!{sys.executable}
import json, pathlib, sys

after = 0
if "--state" in sys.argv:
    after = json.loads(pathlib.Path(sys.argv[sys.argv.index("--state") + 1]).read_text()).get("position", 0)
for line in pathlib.Path("messages.jsonl").read_text().splitlines():
    message = json.loads(line)
    place = message.get("record", {{}}).get("id") or message.get("value", {{}}).get("position")
    if place is None or place > after:
        print(line)
"""
"""Goes on after the STATE that Meltano kept, so that one that left too early loses leads."""


@dataclass
class Pipeline:
    """`meltano run tap-people target-amplemarket` over one results folder and with a state of its own."""

    project: Project
    sandbox: RunningSandbox
    name: str
    world: World
    states: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.results = self.project.folder / "results" / self.name
        (self.project.folder / "messages.jsonl").write_text(self.world.lines(), encoding="utf-8")
        self._settings = {
            "TARGET_AMPLEMARKET_BASE_URL": self.sandbox.url,
            "TARGET_AMPLEMARKET_RESULTS_PATH": str(self.results),
        }

    def run(self, *flags: str) -> int:
        return self.project.try_to(*self._words(*flags), settings=self._settings)

    def run_and_kill(self, is_due: Callable[[], bool], after_s: float) -> bool:
        """All processes are killed so long after the sign; returns whether the run had not ended by then."""
        running = self.project.start(*self._words("--force"), settings=self._settings)
        try:
            wait_for(lambda: is_due() or running.poll() is not None)
            time.sleep(after_s)
        finally:
            kill(running)
        assert running.returncode in {0, -signal.SIGKILL}, self.project.said[-4000:]
        self._keep_state()
        return running.returncode != 0

    def heal(self) -> list[str]:
        """Run again until a run ends well; returns everything that is wrong then."""
        for _ in range(MOST_RUNS):
            if self.run("--force") == 0:
                self._keep_state()
                return faults_in(self.world, self.results, self.sandbox, self.states)
        return [f"not healed: {self.project.said[-4000:]}"]

    @property
    def lists_under_way(self) -> int:
        return len(list(self.results.glob("outbox/*.arrow")))

    @property
    def posts(self) -> int:
        return sum(seen.method == "POST" for seen in self.sandbox.requests())

    def signs(self) -> Iterator[Callable[[], bool]]:
        """That the next run has begun, and that it sends."""
        posts, runs = self.posts, self._run_count()
        yield lambda: self._run_count() > runs
        yield lambda: self.posts > posts

    def _run_count(self) -> int:
        return len(list(self.results.glob("runs/*.json")))

    def _words(self, *flags: str) -> list[str]:
        return ["run", *flags, f"--state-id-suffix={self.name}", "tap-people", "target-amplemarket"]

    def _keep_state(self) -> None:
        """Note what Meltano goes on from; at this moment everything before it has to be recorded."""
        said = self.project.run("state", "get", f"dev:tap-people-to-target-amplemarket:{self.name}")
        state = json.loads(next((line for line in said.splitlines() if line.startswith("{")), "{}"))
        position = state.get("singer_state", {}).get("position", 0)
        assert set(range(1, position + 1)) <= recorded_ids(read_results(self.results)), f"STATE {position} is ahead"
        self.states.append(position)


def wait_for(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        time.sleep(0.01)


@pytest.fixture
def people(project: Project) -> Project:
    """The project with a tap that knows bookmarks."""
    file = project.folder / "meltano.yml"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document["plugins"]["extractors"] = [
        {"name": "tap-people", "namespace": "tap_people", "executable": "./tap-people", "capabilities": ["state"]}
    ]
    document["plugins"]["loaders"][0]["config"] = SETTINGS
    del document["jobs"]
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    tap = project.folder / "tap-people"
    tap.write_text(TAP, encoding="utf-8")
    tap.chmod(0o755)
    project.run("install")
    return project


@pytest.mark.step("D8", "R3", "R4")
@pytest.mark.e2e
def test_a_killed_meltano_run_that_is_started_again_ends_with_each_lead_once(
    people: Project, sandbox: RunningSandbox
) -> None:
    sandbox.set(extra_text_limit=40, latency_ms=150, latency_jitter_ms=200)
    chance, tally = random.Random(f"{SEED}:meltano"), Tally()
    for number, kills in enumerate(KILLS_BY_WORLD):
        sandbox.reset()
        pipeline = Pipeline(people, sandbox, f"world{number}", large_world(250, chance.randrange(10**6)))
        for _ in range(kills):
            [sign] = chance.choices(list(pipeline.signs()), weights=[1, 3])
            is_killed = pipeline.run_and_kill(sign, chance.uniform(0, LONGEST_S))
            tally.counts["kills" if is_killed else "runs to the end"] += 1
            tally.counts["with lists under way"] += pipeline.lists_under_way > 0
            tally.counts["after a STATE"] += is_killed and pipeline.states[-1] > 0
        is_refused = pipeline.run() != 0
        tally.counts["refused without --force"] += is_refused
        assert not is_refused or "--force" in people.said, f"seed {SEED}: {people.said[-4000:]}"
        assert pipeline.heal() == [], f"seed {SEED}: world {number}"
    tally.show()
