"""What is installed and where it is from: hashes of the pins, a bill of materials, a list of licences.

``python tools/supply.py hashes FILE`` adds to FILE the SHA-256 of each pinned package's file for this Python and
machine, asked of the package index by pip itself (nothing is installed); run on every platform that FILE is to serve.
PyTorch and what it brings for CUDA are left out: they come from an index of one's choice, in builds of their own.
``python tools/supply.py sbom FOLDER`` writes ``sbom.json`` (CycloneDX 1.6) and ``licences.csv`` of this environment.
"""

import csv
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

TORCHS = r"(torch|triton)$|nvidia-|cuda-"
PINS = Path(__file__).parents[1] / "constraints.txt"
HEAD = "# By `make hashes` of constraints.txt: SHA-256 of the files that pip takes; `make hashed` installs no others.\n"


def canonical(name: str) -> str:
    """Return a package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, str]:
    """Return package → version of lines ``name==version``, PyTorch and its own left out."""
    found = {canonical(n): v for n, v in re.findall(r"^([\w.-]+)==([\w.+!]+)", text, re.M)}
    return {name: version for name, version in found.items() if not re.match(TORCHS, name)}


def known(text: str) -> dict[tuple[str, str], set[str]]:
    """Return (package, version) → hashes of a file that `written` wrote."""
    found: dict[tuple[str, str], set[str]] = {}
    for name, version, hashes in re.findall(r"^([\w.-]+)==(\S+)((?: \\\n +--hash=sha256:\w+)*)", text, re.M):
        found[canonical(name), version] = set(re.findall(r"sha256:(\w+)", hashes))
    return found


def reported(report: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """Return (package, version) → hash of pip's report of what it would install."""
    return {
        (canonical(one["metadata"]["name"]), one["metadata"]["version"]): {
            one["download_info"]["archive_info"]["hashes"]["sha256"]
        }
        for one in report["install"]
    }


def written(pins: dict[str, str], *sources: dict[tuple[str, str], set[str]]) -> str:
    """Return the pins with all their hashes as pip reads them.

    Raises:
        SystemExit: a pin without one.
    """
    lines = []
    for name, version in sorted(pins.items()):
        hashes = sorted(set().union(*(source.get((name, version), set()) for source in sources)))
        if not hashes:
            raise SystemExit(f"{name}=={version} has no hash: pip did not report it")
        lines.append(" \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{one}" for one in hashes)]))
    return HEAD + "\n".join(lines) + "\n"


def hashes(out: Path) -> None:
    """Ask pip which files it would install for the pins, and add their hashes to `out`."""
    text = PINS.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        report, wanted = Path(folder, "report.json"), Path(folder, "pins.txt")
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in pinned(text).items()))
        command = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--prefer-binary", "--quiet"]
        subprocess.run([sys.executable, "-m", "pip", *command, "--report", str(report), "-r", str(wanted)], check=True)
        found = reported(json.loads(report.read_text()))
    there = known(out.read_text(encoding="utf-8")) if out.exists() else {}
    out.write_text(written(pinned(text), there, found), encoding="utf-8")
    print(f"{out}: {len(pinned(text))} packages")


def components() -> Iterator[dict[str, Any]]:
    """Yield each installed package as a component of CycloneDX, by name."""
    for found in sorted(metadata.distributions(), key=lambda d: canonical(d.name)):
        about = found.metadata
        classified = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
        stated = about.get("License-Expression") or "; ".join(classified) or (about.get("License") or "").split("\n")[0]
        name = canonical(found.name)
        yield {
            "type": "library", "name": name, "version": found.version, "purl": f"pkg:pypi/{name}@{found.version}",
            "bom-ref": f"{name}@{found.version}",
            "licenses": [{"expression" if about.get("License-Expression") else "license": stated
                          if about.get("License-Expression") else {"name": stated}}] if stated else [],
        }  # fmt: skip


def sbom(folder: Path) -> None:
    """Write the bill of materials and the list of licences of this environment."""
    folder.mkdir(parents=True, exist_ok=True)
    found = list(components())
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": found}
    (folder / "sbom.json").write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    with open(folder / "licences.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["package", "version", "licence"])
        for one in found:
            licence = one["licenses"][0] if one["licenses"] else {"expression": ""}
            stated = licence["expression"] if "expression" in licence else licence["license"]["name"]
            table.writerow([one["name"], one["version"], stated])
    print(f"{folder}: sbom.json and licences.csv, {len(found)} packages")


if __name__ == "__main__":
    {"hashes": hashes, "sbom": sbom}[sys.argv[1]](Path(sys.argv[2]))
