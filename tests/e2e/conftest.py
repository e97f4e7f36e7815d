from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.project import Project

ROOT = Path(__file__).parents[2]
NEEDED = ("meltano.yml", "pyproject.toml", "README.md", "LICENSE", "target_amplemarket")


@pytest.fixture
def meltano() -> str:
    own = ROOT / ".venv" / "meltano" / "bin" / "meltano"
    found = os.environ.get("MELTANO") or (str(own) if own.exists() else shutil.which("meltano"))
    if found is None:
        assert "CI" not in os.environ, "CI runs Meltano: `make test` installs it"
        pytest.skip("Meltano is not installed; `make test` installs it")
    return found


@pytest.fixture
def project(meltano: str, tmp_path: Path) -> Project:
    """A copy of the repository's Meltano project."""
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return Project(meltano, tmp_path)
