"""Reads a topic with confluent-kafka and fastavro: python foreign-topic.py BROKERS TOPIC SCHEMA

Prints one JSON object: the number of records, how many have a key that is not their zone, the
largest number of partitions of a zone, and the sum of all simulated numbers.
"""
import io
import json
import pathlib
import sys

import fastavro
from confluent_kafka import Consumer, TopicPartition

brokers, topic, schema_file = sys.argv[1:]
schema = fastavro.parse_schema(json.loads(pathlib.Path(schema_file).read_text()))
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "foreign", "enable.auto.commit": False})
partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1] for p in partitions}
consumer.assign([TopicPartition(topic, p, 0) for p in partitions])

records, misplaced, numbers, zones = 0, 0, [], {}
while records < sum(ends.values()):
    message = consumer.poll(20)
    if message is None or message.error():
        raise SystemExit(f"only {records} of {ends}: {message and message.error()}")
    value = message.value()
    assert value[:2] == b"\xc3\x01"
    event = fastavro.schemaless_reader(io.BytesIO(value[10:]), schema)
    records += 1
    misplaced += message.key().decode() != event["zone"]
    zones.setdefault(event["zone"], set()).add(message.partition())
    numbers += [m["number"] for m in event["measurements"] if m["metric"] == "simulated_number"]
consumer.close()
print(json.dumps({
    "records": records,
    "misplaced": misplaced,
    "partitionsPerZone": max(len(found) for found in zones.values()),
    "sum": sum(numbers),
}))
