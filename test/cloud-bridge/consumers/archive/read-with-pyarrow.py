"""Reads an archive with pyarrow. Prints one JSON line for each event, and one for each date of
the folders' names and zone. The argument is the archive's directory."""

import json
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

folders = ds.partitioning(pa.schema([("date", pa.date32())]), flavor="hive")
archive = ds.dataset(f"{sys.argv[1]}/events", format="parquet", partitioning=folders)
table = archive.to_table().sort_by(
    [("kafkaTopic", "ascending"), ("kafkaOffset", "ascending")]
)
events = table.drop_columns(["date"])
for name in ["observedAt", "receivedAt", "heardAt"]:
    ms = pc.cast(events[name], pa.int64())
    events = events.set_column(events.schema.get_field_index(name), name, ms)
for event in events.to_pylist():
    print(json.dumps(event))
counts = table.group_by(["date", "zone"]).aggregate([([], "count_all")])
for row in counts.sort_by([("date", "ascending"), ("zone", "ascending")]).to_pylist():
    print(json.dumps({"date": str(row["date"]), "zone": row["zone"], "events": row["count_all"]}))
