"""Reads Sluice's events with other Avro implementations.

Usage: python foreign-reader.py SCHEMA SINGLE CONTAINER
SINGLE contains one event in single-object encoding, CONTAINER is an Avro object container file.
Prints one JSON object; "duckdb" is null when DuckDB or its Avro extension is not installed.
"""
import io
import json
import pathlib
import sys

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

schema_file, single_file, container_file = map(pathlib.Path, sys.argv[1:])
schema = json.loads(schema_file.read_text())


def with_duckdb():
    """Reads the container with DuckDB; the package duckdb-ext-avro contains its Avro extension."""
    try:
        import duckdb
        import duckdb_ext

        extensions = pathlib.Path(next(iter(duckdb_ext.__path__))) / "extensions"
        connection = duckdb.connect()
        connection.execute(f"SET extension_directory = '{extensions}'")
        connection.execute("LOAD avro")
    except Exception:
        return None
    columns = """zone, sequence, "zoneSequence", epoch, "observedAt", clock, source.topic,
        list_transform(measurements, m -> m.metric), measurements[1].number"""
    query = f"SELECT {columns} FROM read_avro('{container_file}') ORDER BY sequence"
    return [list(row) for row in connection.execute(query).fetchall()]


def json_event(event):
    """Converts times to milliseconds and the id to text: fastavro has datetimes and UUIDs."""
    def value_of(value):
        return round(value.timestamp() * 1000) if hasattr(value, "timestamp") else value

    return {**{key: value_of(value) for key, value in event.items()}, "id": str(event["id"])}


single = single_file.read_bytes()
datum = io.BytesIO(single[10:])
print(json.dumps({
    "header": single[:2].hex(),
    "fingerprint": fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"),
    "canonical": to_parsing_canonical_form(schema),
    "event": json_event(fastavro.schemaless_reader(datum, schema)),
    "left": len(datum.read()),
    "container": [json_event(event) for event in fastavro.reader(container_file.open("rb"))],
    "duckdb": with_duckdb(),
}))
