#ifndef TALLY_CHECKSUM_INTERNAL_H
#define TALLY_CHECKSUM_INTERNAL_H

#include "checksum.h"

// Each takes and gives the register as it is, without the inversions before and after.
typedef uint32_t (*tally_crc32c_function)(uint32_t state, const uint8_t *bytes, size_t length);

uint32_t tally_crc32c_table(uint32_t state, const uint8_t *bytes, size_t length);

// The processor's own variants; null where it, or this build, has none.
tally_crc32c_function tally_crc32c_find_serial(void);
tally_crc32c_function tally_crc32c_find_interleaved(void);

#endif
