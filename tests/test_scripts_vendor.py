"""The vendored libraries: what `scripts/vendor.py --check` must notice, offline."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of a clone as the script looks at."""
    shutil.copytree(ROOT / "static" / "vendor", tmp_path / "static" / "vendor")
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/vendor.py", "package.json"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def check(clone: Path) -> tuple[int, str]:
    found = subprocess.run([sys.executable, clone / "scripts" / "vendor.py", "--check"], capture_output=True, text=True)
    return found.returncode, found.stderr


def library(clone: Path) -> Path:
    return next((clone / "static" / "vendor").glob("marked@*/marked.esm.js"))


def test_what_was_vendored_is_as_it_was(clone: Path) -> None:
    assert check(clone) == (0, "")


def test_a_changed_byte_is_noticed(clone: Path) -> None:
    path = library(clone)
    path.write_bytes(path.read_bytes() + b" ")
    code, words = check(clone)
    assert code == 1
    assert f"{path.parent.name}/marked.esm.js was changed" in words


def test_a_missing_and_an_unknown_file_are_noticed(clone: Path) -> None:
    path = library(clone)
    path.rename(path.with_name("other.js"))
    code, words = check(clone)
    assert code == 1
    assert "marked.esm.js is missing" in words
    assert "other.js is not recorded" in words


def test_another_version_than_the_pinned_one_is_noticed(clone: Path) -> None:
    package = clone / "package.json"
    pinned = json.loads(package.read_text("utf-8"))
    pinned["dependencies"]["marked"] = "99.0.0"
    package.write_text(json.dumps(pinned), "utf-8")
    code, words = check(clone)
    assert code == 1
    assert "marked 99.0.0 is pinned, but not what is vendored" in words


def test_a_library_without_its_licence_is_noticed(clone: Path) -> None:
    (clone / "static" / "vendor" / "THIRD_PARTY_LICENSES.txt").unlink()
    assert "the licence of marked is missing" in check(clone)[1]


def test_every_version_is_exact() -> None:
    package = json.loads((ROOT / "package.json").read_text("utf-8"))
    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert all(version[0].isdigit() for version in versions)
    assert package["private"] is True
