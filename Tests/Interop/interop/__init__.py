"""Runs real Kafka clients against `tally serve`: kcat, confluent-kafka, aiokafka, kafka-python."""
