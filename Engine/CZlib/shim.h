// Input is only read, and its type shall say so.
#define ZLIB_CONST
#include <zlib.h>
