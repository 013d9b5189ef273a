#ifndef TALLY_CHECKSUM_H
#define TALLY_CHECKSUM_H
#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli) of `length` bytes, continuing from `crc` (0 to start).
uint32_t tally_crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
