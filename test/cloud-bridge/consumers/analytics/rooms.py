"""Computes the windows of recordings of rooms with pandas, from the files alone.

rooms.py HOLD_MAX_MS EVERY:FILE... takes every so many rows of each file, and prints a line of JSON
for each window: ["SIZE SITE/ZONE/DEVICE/METRIC START", {its numbers}].
"""

import json
import sys
from pathlib import Path

import pandas as pd

SIZES_MS = {"1m": 60_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}


def windows(points: pd.DataFrame, size_ms: int, hold_max_ms: int) -> pd.DataFrame:
    """The numbers of each window of one series, by when it begins."""
    points = points.assign(start=points["at"] // size_ms * size_ms)
    end = points["start"] + size_ms
    held_until = pd.concat(
        [points["at"].shift(-1).fillna(float("inf")), points["at"] + hold_max_ms], axis=1
    ).min(axis=1)
    points["held"] = pd.concat([held_until, end], axis=1).min(axis=1) - points["at"]
    # What the value before a window holds into it.
    before = points.shift(1)
    is_first = points["start"] != before["start"]
    carried_until = pd.concat([points["at"], before["at"] + hold_max_ms], axis=1).min(axis=1)
    is_carried = is_first & before["value"].notna()
    carried = (carried_until - points["start"]).clip(lower=0).where(is_carried, 0)
    points["held"] += carried
    points["area"] = (points["held"] - carried) * points["value"]
    points["area"] += (carried * before["value"]).fillna(0)
    rise = points["value"] - before["value"]
    points["rise"] = rise.where(rise >= 0, points["value"]).where(before["value"].notna(), 0)
    groups = points.groupby("start")
    values = groups["value"]
    return pd.DataFrame(
        {
            "count": values.count(),
            "sum": values.sum(),
            "min": values.min(),
            "max": values.max(),
            "mean": values.mean(),
            "last": values.last(),
            "timeWeightedMean": groups["area"].sum() / groups["held"].sum(),
            "energyKwh": groups["rise"].sum(),
            "p50": values.quantile(0.5, interpolation="lower"),
            "p95": values.quantile(0.95, interpolation="lower"),
        }
    )


hold_max_ms, *asked = sys.argv[1:]
for one in asked:
    every, file = one.split(":", 1)
    room = Path(file).stem
    rows = pd.read_csv(file, parse_dates=["timestamp"]).iloc[:: int(every)]
    at = (rows.pop("timestamp") - pd.Timestamp(0)) // pd.Timedelta("1ms")
    for metric in rows:
        points = pd.DataFrame({"at": at, "value": rows[metric]}).dropna()
        for size, size_ms in SIZES_MS.items():
            found = windows(points.sort_values(["at", "value"]), size_ms, int(hold_max_ms))
            for start, numbers in found.to_dict("index").items():
                name = f"{size} sdh/{room}/{room}/{metric} {start}"
                print(json.dumps([name, numbers]))
