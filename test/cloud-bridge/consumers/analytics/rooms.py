"""Computes the windows of recordings of rooms with pandas, from the files alone.

rooms.py HOLD_MAX_MS SIZES_MS EVERY:FILE... reads every nth row of each file, and prints a line of
JSON for each window: ["SIZE SITE/ZONE/DEVICE/METRIC START", {its numbers}]. SIZES_MS is a JSON
object of window sizes in milliseconds, by name.
"""

import json
import sys
from pathlib import Path

import pandas as pd


def windows(points: pd.DataFrame, size_ms: int, hold_max_ms: int) -> pd.DataFrame:
    """The numbers of each window of one series, by its start."""
    points = points.assign(start=points["at"] // size_ms * size_ms)
    end = points["start"] + size_ms
    known_until = pd.concat(
        [points["at"].shift(-1).fillna(float("inf")), points["at"] + hold_max_ms], axis=1
    ).min(axis=1)
    points["known"] = pd.concat([known_until, end], axis=1).min(axis=1) - points["at"]
    # The value before a window holds into the window.
    before = points.shift(1)
    is_first = points["start"] != before["start"]
    carried_until = pd.concat([points["at"], before["at"] + hold_max_ms], axis=1).min(axis=1)
    is_carried = is_first & before["value"].notna()
    carried = (carried_until - points["start"]).clip(lower=0).where(is_carried, 0)
    points["known"] += carried
    points["area"] = (points["known"] - carried) * points["value"]
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
            "timeWeightedMean": groups["area"].sum() / groups["known"].sum(),
            "energyKwh": groups["rise"].sum(),
            "p50": values.quantile(0.5, interpolation="lower"),
            "p95": values.quantile(0.95, interpolation="lower"),
        }
    )


hold_max_ms, sizes, *recordings = sys.argv[1:]
sizes_ms = json.loads(sizes)
for recording in recordings:
    every, file = recording.split(":", 1)
    room = Path(file).stem
    rows = pd.read_csv(file, parse_dates=["timestamp"]).iloc[:: int(every)]
    at = (rows.pop("timestamp") - pd.Timestamp(0)) // pd.Timedelta("1ms")
    for metric in rows:
        points = pd.DataFrame({"at": at, "value": rows[metric]}).dropna()
        for size, size_ms in sizes_ms.items():
            by_start = windows(points.sort_values(["at", "value"]), size_ms, int(hold_max_ms))
            for start, numbers in by_start.to_dict("index").items():
                name = f"{size} sdh/{room}/{room}/{metric} {start}"
                print(json.dumps([name, numbers]))
