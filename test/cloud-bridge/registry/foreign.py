"""Reads topics with other people's client and registry: python foreign.py BROKERS REGISTRY TOPIC...

Prints one JSON object: for each topic its events in the order of their sequence, each with the
version of the schema it was written under, and its headers.
"""
import json
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, url, *topics = sys.argv[1:]
client = SchemaRegistryClient({"url": url})
deserialize = AvroDeserializer(client)


def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if hasattr(value, "timestamp"):
        return round(value.timestamp() * 1000)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def read(topic):
    settings = {"bootstrap.servers": brokers, "group.id": "foreign", "enable.auto.commit": False}
    consumer = Consumer(settings)
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in partitions]
    left = sum(consumer.get_watermark_offsets(place, timeout=20)[1] for place in places)
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    subject = f"{topic}-value"
    versions = {client.get_version(subject, v).schema_id: v for v in client.get_versions(subject)}
    found = []
    while left > 0:
        message = consumer.poll(20)
        if message is None or message.error():
            raise SystemExit(f"{left} left: {message and message.error()}")
        left -= 1
        value = message.value()
        event = deserialize(value, SerializationContext(topic, MessageField.VALUE))
        version = versions[int.from_bytes(value[1:5], "big")]
        headers = {name: text.decode() for name, text in message.headers() or []}
        found.append({"version": version, "headers": headers, "event": plain(event)})
    consumer.close()
    return sorted(found, key=lambda one: one["event"]["sequence"])


print(json.dumps({topic: read(topic) for topic in topics}))
