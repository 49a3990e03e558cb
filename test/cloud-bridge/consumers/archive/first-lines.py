"""Reads an archive with the first line of each tool's tutorial. Prints one JSON line: by tool, the
rows, the zones and the dates. The arguments are the folder `events` and the names of the tools."""

import json
import sys

folder, *tools = sys.argv[1:]


def pandas():
    import pandas

    frame = pandas.read_parquet(folder)
    return len(frame), set(frame["zone"]), set(frame["date"])


def pyarrow():
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(folder)
    return table.num_rows, set(table["zone"].to_pylist()), set(table["date"].to_pylist())


def polars():
    import polars

    frame = polars.read_parquet(folder)
    return len(frame), set(frame["zone"]), set(frame["date"])


def polars_lazy():
    import polars

    frame = polars.scan_parquet(folder).select("zone", "date").collect()
    return len(frame), set(frame["zone"]), set(frame["date"])


def duckdb():
    import duckdb

    rows = duckdb.sql(f"SELECT zone, date FROM '{folder}/**/*.parquet'").fetchall()
    return len(rows), {zone for zone, _ in rows}, {date for _, date in rows}


for tool in tools:
    rows, zones, dates = globals()[tool]()
    print(json.dumps([tool, rows, sorted(map(str, zones)), sorted(str(date)[:10] for date in dates)]))
