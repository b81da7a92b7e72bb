"""Copies the libraries of the page from node_modules into static/vendor, and checks what lies there.

The page never loads anything from another host, and neither running nor packaging needs npm: what is vendored is
committed. `vendor.py` copies an allow-list after `npm ci --ignore-scripts`; `vendor.py --check` works offline and says
whether every file is still the one that was copied, at the version that package.json pins.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
RECORD = VENDOR / "VENDOR.json"
LICENSES = VENDOR / "THIRD_PARTY_LICENSES.txt"


@dataclass(frozen=True, slots=True)
class Library:
    name: str
    files: tuple[str, ...]
    """Paths inside the package; in static/vendor they lie flat, beside each other."""


LIBRARIES = (Library("marked", files=("lib/marked.esm.js",)),)


def main() -> int:
    parser = argparse.ArgumentParser(description="Vendor the libraries of the page.")
    parser.add_argument("--check", action="store_true", help="only say whether static/vendor is as it should be")
    if not parser.parse_args().check:
        vendor()
    problems = check()
    for problem in problems:
        print(f"vendor: {problem}", file=sys.stderr)
    return 1 if problems else 0


def vendor() -> None:
    """Makes static/vendor anew from node_modules."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    record = []
    licenses = []
    for library in LIBRARIES:
        package = ROOT / "node_modules" / library.name
        facts = json.loads((package / "package.json").read_text(encoding="utf-8"))
        folder = VENDOR / f"{library.name}@{facts['version']}"
        folder.mkdir(parents=True)
        for path in library.files:
            (folder / Path(path).name).write_text(_without_map((package / path).read_text("utf-8")), "utf-8")
        record.append(_entry(library, facts, folder))
        licenses.append(f"{library.name} {facts['version']}\n\n{_license_text(package)}")
    RECORD.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    LICENSES.write_text(("\n\n" + "-" * 80 + "\n\n").join(licenses).rstrip() + "\n", "utf-8")


def check() -> list[str]:
    """Every difference between static/vendor, its record and package.json, as sentences."""
    if not RECORD.is_file():
        return ["static/vendor has no record; run scripts/vendor.py"]
    pinned: dict[str, str] = json.loads((ROOT / "package.json").read_text("utf-8"))["dependencies"]
    record: list[dict[str, Any]] = json.loads(RECORD.read_text("utf-8"))
    problems = [f"{entry['name']} is not pinned in package.json" for entry in record if entry["name"] not in pinned]
    for name, version in pinned.items():
        if not any(entry["name"] == name and entry["version"] == version for entry in record):
            problems.append(f"{name} {version} is pinned, but not what is vendored; run scripts/vendor.py")
    expected = {path: digest for entry in record for path, digest in entry["files"].items()}
    found = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    found -= {RECORD.name, LICENSES.name}
    problems += [f"{path} is missing" for path in sorted(expected.keys() - found)]
    problems += [f"{path} is not recorded" for path in sorted(found - expected.keys())]
    problems += [f"{path} was changed" for path in sorted(expected.keys() & found) if _differs(path, expected[path])]
    return problems + _license_problems(record)


def _license_problems(record: list[dict[str, Any]]) -> list[str]:
    text = LICENSES.read_text("utf-8") if LICENSES.is_file() else ""
    return [f"the licence of {e['name']} is missing" for e in record if f"{e['name']} {e['version']}\n" not in text]


def _entry(library: Library, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    locked = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"][f"node_modules/{library.name}"]
    files = [folder / Path(path).name for path in library.files]
    return {
        "name": library.name,
        "version": facts["version"],
        "license": facts["license"],
        "integrity": locked["integrity"],
        "files": {file.relative_to(VENDOR).as_posix(): _digest(file.read_bytes()) for file in files},
    }


def _license_text(package: Path) -> str:
    found = sorted(package.glob("LICENSE*"))
    if not found:
        raise SystemExit(f"vendor: {package.name} comes without a licence text")
    return found[0].read_text("utf-8").strip()


def _without_map(text: str) -> str:
    """A browser's tools would ask for a source map that is not there."""
    return re.sub(r"\n?//# sourceMappingURL=.*\n?$", "\n", text)


def _differs(path: str, digest: str) -> bool:
    return _digest((VENDOR / path).read_bytes()) != digest


def _digest(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


if __name__ == "__main__":
    sys.exit(main())
