#include <stdatomic.h>

#include "internal.h"

static tally_crc32c_function find(enum tally_crc32c_variant variant) {
    switch (variant) {
    case TALLY_CRC32C_TABLE:
        return tally_crc32c_table;
    case TALLY_CRC32C_SERIAL:
        return tally_crc32c_find_serial();
    case TALLY_CRC32C_INTERLEAVED:
        return tally_crc32c_find_interleaved();
    }
    return NULL;
}

// Threads that race here all find and store the same function, so relaxed order is enough.
static _Atomic(tally_crc32c_function) chosen;

static tally_crc32c_function choose(void) {
    tally_crc32c_function best = tally_crc32c_find_interleaved();
    if (best == NULL) best = tally_crc32c_find_serial();
    if (best == NULL) best = tally_crc32c_table;
    atomic_store_explicit(&chosen, best, memory_order_relaxed);
    return best;
}

uint32_t tally_crc32c(uint32_t crc, const void *bytes, size_t length) {
    tally_crc32c_function function = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (function == NULL) function = choose();
    return ~function(~crc, bytes, length);
}

bool tally_crc32c_is_available(enum tally_crc32c_variant variant) { return find(variant) != NULL; }

uint32_t tally_crc32c_by(
    enum tally_crc32c_variant variant, uint32_t crc, const void *bytes, size_t length) {
    return ~find(variant)(~crc, bytes, length);
}
