"""Prove the whole CUDA path in ten minutes: ``python tools/gpu_check.py --out DIR --seconds 540`` (``make gpu-check``).

Each part is a process of its own with a limit of its own, prints a line PASS, FAIL or SKIP a check, and keeps what it
found in DIR/gpu_check.json as it goes. Exit code 0: no check failed; 1: one did; 2: there is no CUDA.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent)]  # wherever it is called from

import gpu_parts as parts  # noqa: E402
import torch  # noqa: E402
from gpu_parts import Check, atomic  # noqa: E402

# Part → (function, seconds at most); what matters most first. What a part leaves over, later ones have.
PARTS: dict[str, tuple[Callable[[Check], None], float]] = {
    "facts": (parts.facts, 40),
    "agreement": (parts.agreement, 130),
    "resume": (parts.resume, 100),
    "speed": (parts.speed, 170),
    "campaign": (parts.campaign, 70),
    "tests": (parts.tests, 120),
}


def supervised(command: list[str], limit: float) -> str:
    """Run a process to its end or its limit; return what was wrong, empty where nothing was."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        return f"ended at its limit of {limit:.0f} s"
    finally:
        parts.end(process)
    return f"its process ended with {code}" if code else ""


def main(arguments: list[str] | None = None) -> int:
    """Run all parts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu-check"), help="folder of the findings")
    parser.add_argument("--seconds", type=float, default=540.0, help="the whole check ends by then")
    parser.add_argument("--rehearse", action="store_true", help="the same parts on the CPU, with tiny sizes")
    parser.add_argument("--part", choices=tuple(PARTS), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if not given.rehearse and not torch.cuda.is_available():
        print("gpu-check: PyTorch finds no usable CUDA device on this machine; --rehearse runs the script on the CPU")
        return 2
    began = time.monotonic()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.part:
        parts.prepare_for_rehearsal(given.rehearse)
        PARTS[given.part][0](Check(given.out / f"{given.part}.json", began + given.seconds, given.rehearse))
        return 0
    found: dict[str, Any] = {}
    for name, (function, limit) in PARTS.items():
        path, left = given.out / f"{name}.json", given.seconds - (time.monotonic() - began)
        path.unlink(missing_ok=True)
        spare = left - sum(most for _, most in list(PARTS.values())[len(found) + 1 :])
        limit = min(left, max(limit * given.seconds / 540, spare))
        print(f"-- {name}, {limit:.0f} s at most", flush=True)
        if limit < 10 and not given.rehearse:
            wrong = "no time left"
        elif given.rehearse:
            parts.prepare_for_rehearsal(True)
            function(Check(path, time.monotonic() + limit, True))
            wrong = ""
        else:
            command = [sys.executable, str(Path(__file__).resolve()), "--part", name, "--out", str(given.out)]
            # The part ends by itself a little before it is ended.
            wrong = supervised([*command, "--seconds", str(limit - 5)], limit)
        lines = json.loads(path.read_text()) if path.exists() else []
        if wrong:
            status = "SKIP" if "time" in wrong or "limit" in wrong else "FAIL"
            lines.append({"check": f"the rest of {name}", "status": status, "reason": wrong})
            print(f"{status} the rest of {name}: {wrong}", flush=True)
        found[name] = lines
        with atomic(given.out / "gpu_check.json") as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n")
    counts = {s: sum(line["status"] == s for part in found.values() for line in part) for s in ("PASS", "FAIL", "SKIP")}
    print(", ".join(f"{count} {status}" for status, count in counts.items()) + f"; {given.out / 'gpu_check.json'}")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
