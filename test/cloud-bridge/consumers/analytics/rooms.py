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
    held = hold_times(points, size_ms, hold_max_ms)
    rises = points["value"].diff().fillna(0)
    start = points["at"] // size_ms * size_ms
    values = points["value"].groupby(start)
    numbers = pd.DataFrame(
        {
            "count": values.count(),
            "sum": values.sum(),
            "min": values.min(),
            "max": values.max(),
            "mean": values.mean(),
            "last": values.last(),
            "energyKwh": rises.groupby(start).sum(),
            "p50": values.quantile(0.5, interpolation="lower"),
            "p95": values.quantile(0.95, interpolation="lower"),
        },
        index=held.index,
    )
    numbers["timeWeightedMean"] = held["area"] / held["ms"]
    return numbers.fillna({"count": 0, "sum": 0, "energyKwh": 0})


def hold_times(points: pd.DataFrame, size_ms: int, hold_max_ms: int) -> pd.DataFrame:
    """How long values count in each window, by its start; a value may reach into empty windows."""
    until = points["at"] + hold_max_ms
    until = until.where(until < points["at"].shift(-1), points["at"].shift(-1)).fillna(until)
    first = points["at"] // size_ms
    windows_of_value = (-(-until // size_ms) - first).clip(lower=1).astype(int)
    pieces = points.assign(until=until, first=first).loc[points.index.repeat(windows_of_value)]
    start = (pieces["first"] + pieces.groupby(level=0).cumcount()) * size_ms
    begin = pieces["at"].where(pieces["at"] > start, start)
    end = pieces["until"].where(pieces["until"] < start + size_ms, start + size_ms)
    ms = end - begin
    return pd.DataFrame({"ms": ms, "area": ms * pieces["value"]}).groupby(start).sum()


hold_max_ms, sizes, *recordings = sys.argv[1:]
sizes_ms = json.loads(sizes)
for recording in recordings:
    every, file = recording.split(":", 1)
    room = Path(file).stem
    rows = pd.read_csv(file, parse_dates=["timestamp"]).iloc[:: int(every)]
    at = (rows.pop("timestamp") - pd.Timestamp(0)) // pd.Timedelta("1ms")
    rows["counter"] = rows["co2"].cumsum()
    for metric in rows:
        points = pd.DataFrame({"at": at, "value": rows[metric]}).dropna()
        for size, size_ms in sizes_ms.items():
            by_start = windows(points.sort_values(["at", "value"]), size_ms, int(hold_max_ms))
            for start, numbers in by_start.to_dict("index").items():
                name = f"{size} sdh/{room}/{room}/{metric} {start}"
                fields = {field: None if pd.isna(n) else n for field, n in numbers.items()}
                if metric != "counter":
                    del fields["energyKwh"]
                print(json.dumps([name, fields]))
