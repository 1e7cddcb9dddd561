/* The processor's matrix unit, where it has one (AMX) and the system lets this process use it.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
 */
#ifndef AMX_H
#define AMX_H
#include <stdint.h>

enum { TILE_SIDE = 16, NUM_TILES = 8 };

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define HAS_AMX
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int may_use_tiles(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    static int known = -1;
    if (known < 0) known = syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
    return known;
}

/* Rows of each tile, and bytes of each row; a tile without rows can't be used. All are zero afterwards. */
static inline void set_tiles(const uint8_t rows[NUM_TILES], const uint16_t bytes[NUM_TILES]) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int t = 0; t < NUM_TILES; t++) {
        shape.rows[t] = rows[t];
        shape.bytes[t] = rows[t] ? bytes[t] : 0;
    }
    _tile_loadconfig(&shape);
}
#else
static inline int may_use_tiles(void) { return 0; }
#endif
#endif
