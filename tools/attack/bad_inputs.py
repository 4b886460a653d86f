"""Bad inputs: options, names of files, damaged and edited files. Each must work or end in one sentence."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from world import CAMPAIGN, TINY, Record, World, command

from ramac_lib.campaign import bandit

HOSTILE = (
    "-5", "0", "-1", "1", "nan", "inf", "-inf", "1e308", "1e-320", "", "none", "true", "abc", "1,2", "1,-2", "(", "²",
    "0x10", "1_000", "-0", "9" * 30, "0,0", "1e400", "../x", "--", "é" * 50, "1.5", "0.5", "2",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, -5, 10**30, 1e308, float("nan"), float("inf"), "", "x", "os:Hopper-v5", "\0", "é",
    [], {}, [None], [[]], [-1], ["x"], {"x": 1}, [0, 0], "../../etc/passwd", "nan",
)  # fmt: skip
NUMBERS = {
    "train": ("seeds", "steps", "size", "data-seed", "alpha", "eval-every", "log-every", "episodes"),
    "evaluate": ("episodes", "horizon"),
    "campaign": (
        "budget-seconds", "workers", "seeds", "steps", "evaluations", "evaluate-at", "episodes", "report-episodes",
        "size", "data-seed",
    ),
    "data": ("size", "seed"),
    "bandit": ("seeds", "steps", "workers"),
    "record": ("episodes", "poses"),
    "push": ("episodes",),
    "bench": ("seeds", "chunks", "seconds", "passes", "threads"),
}  # fmt: skip
WORDS = {
    "train": ("method", "task", "source", "env-id", "hazard", "risk", "device", "engine", "precision", "set", "out"),
    "evaluate": ("hazard", "device"),
    "campaign": (
        "tasks", "methods", "hazards", "source", "env-id", "engine", "precision", "profile", "device", "out",
        "export", "pack", "unpack",
    ),
    "data": ("source", "hazard", "env-id"),
    "bandit": ("methods", "suites", "cells", "out"),
    "record": ("device", "out"),
    "bench": ("methods", "task", "engines", "precisions", "device", "json"),
}  # fmt: skip


class Over(KeyboardInterrupt):
    """The time is over: the one way in which hypothesis stops at once and looks for no smaller example."""


def base(world: World, name: str) -> tuple[object, ...]:
    """Return a command that would work and take a moment."""
    if name == "train":
        small = ("--size", 200, "--steps", 2, "--episodes", 1, "--device", "cpu", "--engine", "eager")
        return ("train", "--method", "radac", "--task", "risky-bandit", *small, "--out", world.fresh(), *TINY)
    return {
        "evaluate": ("evaluate", world.run, "--episodes", 1, "--device", "cpu"),
        "campaign": ("campaign", *CAMPAIGN, "--out", world.fresh()),
        "data": ("data", "risky-bandit", "--size", 200),
        "bandit": ("bandit", "--methods", "bc-cvae", "--seeds", 0, "--steps", 20, "--suites", "axis",
                   "--cells", world.fresh(), "--out", world.fresh(), "--workers", 1),
        "record": ("analyse", "record", world.run, "--out", world.fresh(), "--episodes", 1),
        "push": ("analyse", "push", world.run, "--policy", world.run, "--out", world.fresh(), "--episodes", 1),
        "bench": ("bench", "--methods", "bc-gaussian", "--task", "risky-bandit", "--seeds", 1, "--seconds", 0.01,
                  "--device", "cpu"),
    }[name]  # fmt: skip


def options(world: World, record: Record, draw: st.DataObject) -> None:
    """Give a command one option with a hostile value, twice the same at times: the last one counts."""
    name = draw.draw(st.sampled_from(sorted(NUMBERS)))
    option = draw.draw(st.sampled_from((*NUMBERS[name], *WORDS.get(name, ()))))
    value = draw.draw(
        st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12))
    )
    if option in ("steps", "episodes", "size", "seconds", "evaluations", "report-episodes") and value.isdigit():
        value = value[:2]  # a legal long command is no bad input
    given = (*base(world, name), f"--{option}", value)
    record.take("options", given[-2:], command(*given).fault)


def settings_of_methods(world: World, record: Record, draw: st.DataObject) -> None:
    """Train two steps with one setting of a method at a hostile value."""
    from dataclasses import fields

    from ramac_lib.methods import METHODS

    method = draw.draw(st.sampled_from(sorted(METHODS)))
    name = draw.draw(st.sampled_from(sorted(f.name for f in fields(METHODS[method].Config))))
    text = draw.draw(st.sampled_from(HOSTILE))
    known = {f.name for f in fields(METHODS[method].Config)}
    small = [pair for pair in TINY[1:] if pair.partition("=")[0] in known - {name, "n_cos"}]
    given = (
        "train", "--method", method, "--task", "risky-bandit", "--size", 200, "--steps", 2, "--episodes", 1,
        "--device", "cpu", "--engine", "eager", "--out", world.fresh(), "--set", *small, f"{name}={text}",
    )  # fmt: skip
    record.take("settings", (method, f"{name}={text}"), command(*given).fault)


def _leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the path of everything inside a JSON document."""
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield (*path, key)
        yield from _leaves(data[key], (*path, key))


def edited(world: World, record: Record, draw: st.DataObject) -> None:
    """Edit one value of a JSON file, or leave it out; then use what it belongs to."""
    source, name, uses = draw.draw(
        st.sampled_from(
            (
                (world.run, "config.json", RUN),
                (world.campaign, "campaign.json", CAMPAIGNS),
                (world.campaign, "results.json", CAMPAIGNS),
                (world.pack, "manifest.json", (lambda p: ("campaign", "--unpack", p, "--out", world.fresh()),)),
            )
        )
    )
    folder = world.fresh(source)
    data = json.loads((folder / name).read_text())
    path = draw.draw(st.sampled_from(list(_leaves(data))))
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    if draw.draw(st.integers(0, 5)) == 0:
        del inner[path[-1]]
        value: Any = "(left out)"
    else:
        value = inner[path[-1]] = draw.draw(st.sampled_from(VALUES))
    (folder / name).write_text(json.dumps(data))
    use = draw.draw(st.sampled_from(uses))
    record.take("edited", (name, path, value, use(folder)[:2]), command(*use(folder)).fault)


RUN: tuple[Callable[[Path], tuple[object, ...]], ...] = (
    lambda p: ("evaluate", p, "--episodes", 1, "--device", "cpu"),
    lambda p: ("gather", p, "--out", p.parent / "table"),
    lambda p: (
        "train", "--method", "radac", "--task", "risky-bandit", "--size", 200, "--steps", 4, "--episodes", 2,
        "--device", "cpu", "--engine", "eager", "--out", p, "--resume", *TINY,
    ),
    lambda p: ("analyse", "record", p, "--out", p.parent / "signals", "--episodes", 1),
    lambda p: ("analyse", "critics", p, "--out", p.parent / "critics", "--states", 1, "--rollouts", 1),
)  # fmt: skip
CAMPAIGNS: tuple[Callable[[Path], tuple[object, ...]], ...] = (
    lambda p: ("campaign", "--resume", "--workers", 0, "--device", "cpu", "--out", p),
    lambda p: ("campaign", "--out", p, "--export", p.parent / "export"),
    lambda p: ("campaign", "--out", p, "--pack", p.parent / "packed"),
)


def damaged(world: World, record: Record, draw: st.DataObject) -> None:
    """Flip a bit, cut, empty or replace one file of a run, a campaign, a pack or the data; then use it."""
    source, uses = draw.draw(
        st.sampled_from(
            (
                (world.run, RUN),
                (world.campaign, CAMPAIGNS),
                (world.pack, (lambda p: ("campaign", "--unpack", p, "--out", world.fresh()),)),
                (world.file, (lambda p: ("data", "hopper-medium-expert", "--source", p),)),
            )
        )
    )
    where = world.fresh(source)
    files = sorted(p for p in where.rglob("*") if p.is_file()) if where.is_dir() else [where]
    victim = draw.draw(st.sampled_from(files))
    content, how = bytearray(victim.read_bytes()), draw.draw(st.sampled_from(("flip", "cut", "empty", "junk", "odd")))
    at = draw.draw(st.integers(0, max(0, len(content) - 1)))
    if how == "odd":
        victim.unlink()
        draw.draw(st.sampled_from((os.mkfifo, os.mkdir, lambda p: os.symlink(p, p))))(victim)
    else:
        if how == "flip" and content:
            content[at] ^= 1 << draw.draw(st.integers(0, 7))
        kept = {"flip": content, "cut": content[:at], "empty": b"", "junk": draw.draw(st.binary(max_size=200))}[how]
        victim.write_bytes(bytes(kept))
    use = draw.draw(st.sampled_from(uses))
    verdict = command(*use(where))
    fault = verdict.fault
    if fault is None and verdict.code == 0 and how == "flip" and victim.name == "checkpoint.pt" and source == world.run:
        fault = "a damaged state was believed" if use is not RUN[1] else None
    record.take("damaged", (victim.name, how, at, use(where)[:2]), fault)


def places(world: World, record: Record, draw: st.DataObject) -> None:
    """Write to where nothing can be written."""
    folder = world.fresh()
    folder.mkdir()
    (folder / "file").write_text("mine")
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    places = ("file", "loop", "pipe", "file/x", "loop/x", "n" * 300, "m" * 250, "file.csv", "dev", "x/" * 2100 + "x")
    name = draw.draw(st.sampled_from(places))
    out = Path("/dev/full") if name == "dev" else folder / name
    which = draw.draw(st.sampled_from(("train", "campaign", "gather", "record", "unpack", "pack", "export", "source")))
    given = {
        "train": lambda: (*base(world, "train"), "--out", out),
        "campaign": lambda: ("campaign", *CAMPAIGN, "--out", out),
        "gather": lambda: ("gather", world.run, "--out", out),
        "record": lambda: (*base(world, "record"), "--out", out),
        "unpack": lambda: ("campaign", "--unpack", world.pack, "--out", out),
        "pack": lambda: ("campaign", "--out", world.campaign, "--pack", out),
        "export": lambda: ("campaign", "--out", world.campaign, "--export", out),
        "source": lambda: ("data", "hopper-medium-expert", "--source", out),
    }[which]()
    fault = command(*given).fault
    if (folder / "file").read_text() != "mine":
        fault = "a file was written over"
    record.take("places", (which, name[:20]), fault)


ATTACKS = {
    "options": (options, 0.3),
    "settings": (settings_of_methods, 0.25),
    "edited": (edited, 0.2),
    "damaged": (damaged, 0.2),
    "places": (places, 0.05),
}
"""Each attack, and its share of all."""


def attack(world: World, record: Record, total: int, start: int, over: Callable[[], bool]) -> None:
    """Try about so many bad inputs, the same ones for the same `start`, until `over` says so."""
    spawn, bandit.spawn = bandit.spawn, lambda _: ThreadPoolExecutor(1)  # a process would take seconds to start
    try:
        for offset, (attempt, share) in enumerate(ATTACKS.values()):
            _try(partial(attempt, world, record), world, max(1, round(share * total)), start + offset, over)
    finally:
        bandit.spawn = spawn


def _try(attempt: Any, world: World, count: int, start: int, over: Callable[[], bool]) -> None:
    @seed(start)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def tried(draw: st.DataObject) -> None:
        if over():
            raise Over
        attempt(draw)
        world.clear()

    with contextlib.suppress(Over):
        tried()
