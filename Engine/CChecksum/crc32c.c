#include "checksum.h"
uint32_t tally_crc32c(uint32_t crc, const void *bytes, size_t length) { return crc; }
