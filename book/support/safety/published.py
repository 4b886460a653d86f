"""R2PAC's table 1 as printed, and its two counts of tasks, recounted.

``data/paper/r2pac.csv`` has reward and cost of eight methods on 32 tasks of DSRL, normalised: a policy counts as safe
where its mean cost is below 1. One row, CarCircle, is shifted by a column in the text that was read; it is put right by
the printed averages, and R2PAC's cost there is left empty. The 17 tasks of the abstract are those with settings in the
paper's table 5, all but the Point agent's and MetaDrive's.
"""

import pandas as pd

from ramac_lib.system.paths import data_folder

OWN = "R2PAC"
LIMIT = 1.0
AVERAGES = {  # as printed: reward, cost
    ("Safety-Gymnasium", "R2PAC"): (0.35, 0.50), ("Safety-Gymnasium", "FISOR"): (0.24, 0.37),
    ("Safety-Gymnasium", "CDT"): (0.42, 4.24), ("Safety-Gymnasium", "CAPS"): (0.23, 1.22),
    ("Bullet", "R2PAC"): (0.54, 0.31), ("Bullet", "FISOR"): (0.39, 0.10), ("Bullet", "CDT"): (0.63, 2.09),
    ("MetaDrive", "R2PAC"): (0.54, 0.10), ("MetaDrive", "FISOR"): (0.36, 0.25), ("MetaDrive", "CDT"): (0.25, 1.45),
}  # fmt: skip


def load() -> pd.DataFrame:
    """Return the table: columns ``suite task method reward cost safe claimed``, a row a task and method.

    ``claimed`` marks the 17 tasks; a cost that is lost counts as safe, as all of R2PAC's are said to be.
    """
    table = pd.read_csv(data_folder() / "paper" / "r2pac.csv")
    table["safe"] = ~(table["cost"] >= LIMIT)
    table["claimed"] = (table["suite"] != "MetaDrive") & ~table["task"].str.startswith("Point")
    return table


def best_safe(table: pd.DataFrame) -> pd.Series:
    """Return the methods of the highest reward among a task's safe ones, ties joined by a slash, by task."""
    safe = table[table["safe"]]
    top = safe[safe["reward"] == safe.groupby("task")["reward"].transform("max")]
    return top.groupby("task", sort=False)["method"].agg(" / ".join)


def recount(table: pd.DataFrame) -> pd.DataFrame:
    """Return on how many tasks R2PAC has the highest reward of all safe methods, a tie included.

    Columns ``tasks highest safe``, by what is counted: the 17 tasks with and without the column CAPS, and all.
    """
    rows = {}
    claimed = table[table["claimed"]]
    for name, part in {
        "17 tasks, as printed": claimed,
        "17 tasks, without CAPS": claimed[claimed["method"] != "CAPS"],
        "all tasks": table,
    }.items():
        own = part[part["method"] == OWN]
        wins = best_safe(part).str.split(" / ").map(lambda names: OWN in names)
        rows[name] = {"tasks": part["task"].nunique(), "highest": int(wins.sum()), "safe": int(own["safe"].sum())}
    return pd.DataFrame.from_dict(rows, orient="index")


def lost(table: pd.DataFrame) -> pd.DataFrame:
    """Return the claimed tasks where a safe method has a higher reward: task, that method, both rewards."""
    claimed = table[table["claimed"]]
    best = best_safe(claimed)
    rows = []
    for task, names in best.items():
        if OWN not in names.split(" / "):
            own = claimed[claimed["task"] == task].set_index("method")
            reward, first = own["reward"], names.split(" / ")[0]
            row = {"task": task, "best safe method": names, "its reward": reward[first], "its cost": own["cost"][first]}
            rows.append(row | {"R2PAC's reward": reward[OWN]})
    return pd.DataFrame(rows)


def averages(table: pd.DataFrame) -> pd.DataFrame:
    """Return the printed averages beside those of the printed rows, for reward and cost; none of a row with a gap.

    Columns ``suite method of printed ours``.
    """
    rows = []
    for (suite, method), printed in AVERAGES.items():
        own = table[(table["suite"] == suite) & (table["method"] == method)]
        for kind, value in zip(("reward", "cost"), printed, strict=True):
            if own[kind].notna().all():
                rows.append({"suite": suite, "method": method, "of": kind, "printed": value, "ours": own[kind].mean()})
    return pd.DataFrame(rows)
