// The CRC instructions of ARMv8, one stream: they are optional in 8.0, hence the question to the
// kernel. Other processors than arm64 and x86-64 have the table alone.
#include "internal.h"

#if defined(__aarch64__)
#include <arm_acle.h>
#include <string.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif

__attribute__((target("crc"))) static uint32_t serial(
    uint32_t state, const uint8_t *bytes, size_t length) {
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        state = __crc32cd(state, word);
        bytes += 8;
        length -= 8;
    }
    while (length > 0) {
        state = __crc32cb(state, *bytes);
        bytes++;
        length--;
    }
    return state;
}

tally_crc32c_function tally_crc32c_find_serial(void) {
#if defined(__linux__)
    enum { CRC32_CAPABILITY = 1 << 7 };  // HWCAP_CRC32 of <asm/hwcap.h>
    return getauxval(AT_HWCAP) & CRC32_CAPABILITY ? serial : NULL;
#elif defined(__APPLE__)
    return serial;  // every arm64 processor of Apple has them
#else
    return NULL;
#endif
}
#elif !defined(__x86_64__)
tally_crc32c_function tally_crc32c_find_serial(void) { return NULL; }
#endif

#if !defined(__x86_64__)
tally_crc32c_function tally_crc32c_find_interleaved(void) { return NULL; }
#endif
