"""What is trained on the Risky Bandit for chapter 6: settings one at a time, two together, measures, lengths.

A value may bring options of its own along, as a campaign's row does: ``16,grid_rule=floor``. What a method's own
settings are stands in each stored cell; the values here depart from those of RADAC and RAFMAC on the bandit: η .3,
λ_bc 1, α .1, 20 fractions, 20 and 10 steps of the chain, no clip, no warm-up, critics 256 wide, batches of 256.
"""

from collections.abc import Sequence

from ramac_lib.campaign.bandit import BanditCell
from ramac_lib.campaign.grid import parse_row
from ramac_lib.system.errors import RamacError, unknown

SUITES = ("knobs", "measures", "map", "lengths")
KNOBS: dict[str, dict[str, tuple[str, ...]]] = {
    "radac": {
        "eta": ("0.03", "0.1", "1", "3"),
        "bc_weight": ("3",),
        "alpha": ("0.05", "0.25", "1"),
        "n_fractions": ("8", "16", "16,grid_rule=floor", "32"),
        "policy_steps": ("1", "5", "10"),
        "td_clip": ("1", "4"),
        "eta_warmup": ("0.5",),
        "actor_critics": ("mean", "one"),
        "critic_hidden": ("64",),
        "batch_size": ("64",),
        "quantile_axis": ("target",),
        "joint_relu": ("true",),
    },
    "rafmac": {"eta": ("0.1", "1"), "policy_steps": ("1", "20")},
}
MAP: dict[str, tuple[str, ...]] = {"eta": ("0.03", "0.1", "0.3", "1", "3"), "alpha": ("0.1", "0.25", "1")}
MEASURES = ("wang", "cpw", "power", "neutral")  # beside CVaR, with the parameters of `ramac_lib.risk.PARAMETERS`
# In units of chapter 3's runs, which stand between. DiffusionQL's longest was left out: it is as long as RADAC's.
LENGTHS: dict[str, tuple[float, ...]] = {"radac": (0.2, 4), "diffusion-ql": (0.2,), "bc-diffusion": (0.2, 4)}


def rows(suite: str) -> list[tuple[str, str]]:
    """Return the method and the options, as text, of each row of a suite: knobs, map or measures."""
    if suite == "knobs":
        return [
            (method, row)
            for method, knobs in KNOBS.items()
            for row in ("", *(f"{knob}={value}" for knob, values in knobs.items() for value in values))
        ]
    if suite == "measures":
        return [(method, f"risk={measure}") for method in KNOBS for measure in MEASURES]
    # The row and the column of the map through RADAC's own settings are among the knobs.
    return [
        ("radac", f"eta={eta},alpha={alpha}")
        for eta in MAP["eta"]
        for alpha in MAP["alpha"]
        if eta != "0.3" and alpha != "0.1"
    ]


def cells(suites: Sequence[str], seeds: Sequence[int], steps: int = 5000) -> list[BanditCell]:
    """Return the cells of the suites: knobs, measures and map in a fifth of the updates, the map with two seeds.

    Lengths have two seeds too.

    Raises:
        RamacError: an unknown suite, no seeds or one given twice, too few updates.
    """
    for suite in suites:
        if suite not in SUITES:
            raise unknown("suite", suite, SUITES)
    if not seeds or len(set(seeds)) != len(seeds):
        raise RamacError(f"seeds are {' '.join(map(str, seeds)) or 'none'}; expected at least one, each once")
    if steps < 5:
        raise RamacError(f"steps is {steps}; expected at least 5 updates")
    found = []
    for suite in suites:
        if suite == "lengths":
            every = [(method, round(steps * times)) for method, lengths in LENGTHS.items() for times in lengths]
            found += [BanditCell(suite, method, "", s, length) for method, length in every for s in seeds[:2]]
            continue
        for method, row in rows(suite):
            options = parse_row(f"{method}:{row}")[1] if row else {}
            own = seeds[:2] if suite == "map" else seeds
            found += [BanditCell(suite, method, row, seed, steps // 5, options) for seed in own]
    return found
