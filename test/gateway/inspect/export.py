"""Reads an Avro object container file with other people's Avro: python export.py FILE

Prints one JSON object: its codec and its records, times as milliseconds, ids as text.
"""
import json
import pathlib
import sys

import fastavro


def plain(event):
    def value_of(value):
        return round(value.timestamp() * 1000) if hasattr(value, "timestamp") else value

    return {**{key: value_of(value) for key, value in event.items()}, "id": str(event["id"])}


reader = fastavro.reader(pathlib.Path(sys.argv[1]).open("rb"))
print(json.dumps({"codec": reader.codec, "events": [plain(event) for event in reader]}))
