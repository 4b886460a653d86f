"""Readers of files and of options under coverage-guided fuzzing: whatever the bytes, a value or one `RamacError`.

``make fuzz`` or ``python tools/attack/fuzz.py [--seconds 60] [--only NAME]…``: atheris mutates the files of a small
run, a campaign, a pack and a data set for so long each, keeping what reaches new lines of the library. Exit code 1 if
anything else was raised; what raised it is then kept in the folder named, as ``NAME-crash-…``.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

LONGEST = 65_536  # bytes of an input
PATIENCE = 20  # seconds that one may take
READERS = ("config", "grid", "facts", "manifest", "archive", "table", "state", "data", "policy", "options")


def readers(folder: Path) -> dict[str, tuple[Callable[[bytes], object], Callable[[], bytes]]]:
    """Return each reader by name, given bytes; and what makes the bytes that it begins with.

    Args:
        folder: where a copy of what is read lies, on a file system in memory by preference.
    """
    import numpy as np
    from world import World

    from ramac_lib.campaign import packing
    from ramac_lib.campaign.directory import CampaignDirectory
    from ramac_lib.campaign.exports import read_part
    from ramac_lib.datasets import hdf5
    from ramac_lib.envs import behaviour
    from ramac_lib.training import config, stored
    from ramac_lib.training.directory import RunDirectory

    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = str(folder)
    world = World()
    run, grid = RunDirectory(world.run), CampaignDirectory(world.campaign)
    weights = folder / "policy.npz"
    behaviour.policy_path = lambda *_: weights  # type: ignore[assignment]
    first = next(path for path in sorted((behaviour.data_folder() / "behaviour").glob("*/step_*.npz")))
    with np.load(first) as file:  # of few numbers, so that the fuzzer meets the archive's structure
        small = {name: file[name][..., :2][:2] for name in file.files}
    np.savez(weights, **small)

    def whole(path: Path, use: Callable[[], object]) -> tuple[Callable[[bytes], object], Callable[[], bytes]]:
        def read(data: bytes) -> object:
            path.write_bytes(data)
            return use()

        return read, path.read_bytes

    def options(data: bytes) -> object:
        words = data.decode(errors="surrogateescape").split("\n")
        return config.make_config("radac", "risky-bandit", (0,), 2, config.parse_options(words), size=200)

    def unpacked() -> None:
        packing.unpack(world.pack, out := world.fresh())
        assert out.is_dir()
        world.clear()

    def archive(data: bytes) -> object:
        """Unpack a stream of tar in a pack whose hash is right."""
        packed = gzip.compress(data, 1)
        (own / "results.000").write_bytes(packed)
        part = {"name": "results.000", "bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
        said = {"format": packing.FORMAT, "parts": [part], "unpacked": {"results": LONGEST, "states": 0}}
        (own / "manifest.json").write_text(json.dumps(said))
        packing.unpack(own, world.fresh())
        return world.clear()

    def some_members() -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, headers in (("a", {}), ("b" * 120, {"mtime": "1.5"})):
                member = tarfile.TarInfo(name)
                member.size, member.pax_headers = 3, headers
                tar.addfile(member, io.BytesIO(b"abc"))
        return stream.getvalue()

    own = folder / "archive"
    own.mkdir()
    hdf5.save_file(hdf5.load_file(world.file), world.file)  # with a recipe and a hash
    world.must("campaign", "--out", world.campaign, "--export", world.folder / "export")
    part = next((world.folder / "export").glob("*.json"))
    return {
        "config": whole(run.config_file, lambda: (run.read_facts(), run.read_config())),
        "grid": whole(grid.grid_file, grid.read),
        "facts": whole(part, lambda: read_part(part.with_suffix(".csv.gz"))),
        "manifest": whole(world.pack / "manifest.json", unpacked),
        "archive": (archive, some_members),
        "table": whole(world.run / "evaluations.csv", lambda: run.read_table("evaluations.csv", 3)),
        "state": whole(run.checkpoint_file, lambda: stored.load_run(world.run, "cpu")),
        "data": whole(world.file, lambda: hdf5.load_file(world.file, mark_breaks=True, clip_actions=True)),
        "policy": whole(weights, lambda: behaviour.load_policy("hopper", 0)),
        "options": (options, lambda: b"hidden=8\nlr_actor=3e-4\ncritic_hidden=4"),
    }


def fuzz(name: str, seconds: int, kept: Path) -> None:
    """Fuzz one reader in this process, which ends with it."""
    import logging

    import atheris

    with atheris.instrument_imports(include=["ramac_lib"]):
        from ramac_lib.system.errors import RamacError

        memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else kept
        folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory))
        read, begin = readers(folder)[name]
    logging.disable(logging.WARNING)
    corpus = kept / f"corpus-{name}"
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "begin").write_bytes(begin())
    read(begin())  # what it begins with is well

    def one(data: bytes) -> None:
        try:
            read(data)
        except RamacError as error:
            if not str(error).strip():
                raise

    flags = (f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={PATIENCE}", "-rss_limit_mb=4096",
             f"-artifact_prefix={kept}/{name}-", "-seed=1", "-print_final_stats=1")  # fmt: skip
    atheris.Setup([name, *flags, str(corpus)], one)
    atheris.Fuzz()


def main() -> int:
    """Fuzz the readers one after another, each in a process of its own; print how often each was tried."""
    parser = argparse.ArgumentParser("fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--only", nargs="*", choices=READERS, default=READERS)
    parser.add_argument("--kept", type=Path, help="where inputs are kept (default: a new folder)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    kept = (given.kept or Path(tempfile.mkdtemp(prefix="fuzz-kept-"))).absolute()
    if given.here:
        fuzz(given.only[0], given.seconds, kept)
    failed = []
    for name in given.only:
        began = time.monotonic()
        words = ["--here", "--only", name, "--seconds", str(given.seconds), "--kept", str(kept)]
        done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, errors="replace")
        said = done.stderr.splitlines()
        tried = next((line.split()[-1] for line in said if "number_of_executed_units" in line), "?")
        print(f"{name:<10} {tried:>9} inputs in {time.monotonic() - began:4.0f} s, exit code {done.returncode}")
        if done.returncode:
            failed.append(name)
            print("\n".join(line for line in said if line.strip() and not line.startswith(("#", "INFO")))[-3000:])
    print(f"{', '.join(failed)} went wrong; inputs in {kept}" if failed else "nothing went wrong")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
