"""What the checks write and read: one shape of a record for all clients."""

from dataclasses import dataclass

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

# 2021-03-04T05:06:07.089Z: no round number, so that a lost digit shows.
EPOCH_MS = 1_614_834_367_089


@dataclass(frozen=True)
class Record:
    """A record. Where a client chose them, partition and offset say where it landed."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int | None = None
    partition: int | None = None
    offset: int | None = None

    @property
    def content(self):
        """What a writer gives: everything but the offset."""
        return (self.key, self.value, self.headers, self.timestamp, self.partition)


def numbered(count, partition=None, prefix="v"):
    """Records with keys, ascending times, and values that tell their place."""
    return [
        Record(b"key-%d" % i, f"{prefix}-{i}".encode(), (), EPOCH_MS + i * 1000, partition)
        for i in range(count)
    ]


def values(records):
    """The values as text, in the order read."""
    return [None if record.value is None else record.value.decode() for record in records]


def everything(records):
    """The contents of records in an order that does not depend on the reading."""
    return sorted((record.content for record in records), key=repr)
