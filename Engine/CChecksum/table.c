// Slicing by eight: `tables[k][b]` is the register after byte b and then k zero bytes, so that the
// effects of eight bytes can be looked up independently and added.
#include <pthread.h>
#include <string.h>

#include "internal.h"

enum { POLYNOMIAL = 0x82F63B78u };

static uint32_t tables[8][256];
static pthread_once_t built = PTHREAD_ONCE_INIT;

static void build_tables(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t state = byte;
        for (int bit = 0; bit < 8; bit++) {
            state = (state >> 1) ^ (state & 1 ? (uint32_t)POLYNOMIAL : 0);
        }
        tables[0][byte] = state;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t state = tables[slice - 1][byte];
            tables[slice][byte] = (state >> 8) ^ tables[0][state & 0xff];
        }
    }
}

static uint64_t load_little_endian(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint32_t tally_crc32c_table(uint32_t state, const uint8_t *bytes, size_t length) {
    pthread_once(&built, build_tables);
    while (length >= 8) {
        uint64_t word = load_little_endian(bytes) ^ state;
        state = tables[7][word & 0xff] ^ tables[6][word >> 8 & 0xff] ^
                tables[5][word >> 16 & 0xff] ^ tables[4][word >> 24 & 0xff] ^
                tables[3][word >> 32 & 0xff] ^ tables[2][word >> 40 & 0xff] ^
                tables[1][word >> 48 & 0xff] ^ tables[0][word >> 56];
        bytes += 8;
        length -= 8;
    }
    while (length > 0) {
        state = (state >> 8) ^ tables[0][(state ^ *bytes) & 0xff];
        bytes++;
        length--;
    }
    return state;
}
