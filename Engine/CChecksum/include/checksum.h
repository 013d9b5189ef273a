#ifndef TALLY_CHECKSUM_H
#define TALLY_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli: reflected polynomial 0x82F63B78, inverted before and after), the checksum
// of Kafka's record batches. `crc` is 0 to begin, or the result for the bytes before these.
// Chooses the fastest variant of this processor on the first call. Safe from any thread.
uint32_t tally_crc32c(uint32_t crc, const void *bytes, size_t length);

// The variants, for tests that compare them with each other.
enum tally_crc32c_variant {
    TALLY_CRC32C_TABLE = 0,        // slicing by eight; every processor
    TALLY_CRC32C_SERIAL = 1,       // the processor's CRC instruction, one stream
    TALLY_CRC32C_INTERLEAVED = 2,  // three streams, joined by carry-less multiplication
};

// Whether this processor can run a variant.
bool tally_crc32c_is_available(enum tally_crc32c_variant variant);

// As `tally_crc32c`, by one variant, which must be available.
uint32_t tally_crc32c_by(
    enum tally_crc32c_variant variant, uint32_t crc, const void *bytes, size_t length);

#endif
