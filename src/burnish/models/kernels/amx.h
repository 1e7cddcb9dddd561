/* The processor's matrix unit, where it has one (AMX) and the system lets this process use it.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
 */
#ifndef AMX_H
#define AMX_H
#include <stdint.h>

enum { TILE_SIDE = 16, NUM_TILES = 8, SQUARE = 2 * TILE_SIDE };

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define HAS_AMX
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Compilers don't know that the instructions read memory: what was written is written before. */
#define WRITTEN __asm__ volatile("" : : : "memory")

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
    __asm__ volatile("" : : "r"(&shape) : "memory"); /* all of it, and not the eight bytes that compilers think */
    _tile_loadconfig(&shape);
}

static inline void release_tiles(void) { _tile_release(); }

/* For squares of which `count` rows mean something: tiles 0 to 3 are sums of two times two tiles, 4 and 5 rows of a, 6
 * and 7 of b. `set` is the count that they are set for, -1 where they aren't; after a change sums are zero. */
static inline void set_square(int64_t count, int64_t *set) {
    if (count == *set) return;
    uint8_t one = (uint8_t)(count < TILE_SIDE ? count : TILE_SIDE), two = (uint8_t)(count - one);
    const uint8_t rows[NUM_TILES] = {one, one, two, two, one, two, TILE_SIDE, TILE_SIDE};
    const uint16_t bytes[NUM_TILES] = {64, 64, 64, 64, 64, 64, 64, 64};
    set_tiles(rows, bytes);
    *set = count;
}

static inline void empty_square(int64_t count) {
    _tile_zero(0);
    _tile_zero(1);
    if (count <= TILE_SIDE) return;
    _tile_zero(2);
    _tile_zero(3);
}

/* Add to the square's sums the product of a (count, 32 * steps numbers) and b, 16 * steps rows of 32 words that are pairs
 * of two rows' numbers; `ld_a` numbers and `ld_b` words are between rows. */
static inline void add_square(const uint16_t *a, int64_t ld_a, const uint32_t *b, int64_t ld_b, int64_t steps,
                              int64_t count) {
    WRITTEN;
    for (int64_t s = 0; s < steps; s++, a += 2 * TILE_SIDE, b += TILE_SIDE * ld_b) {
        _tile_loadd(4, a, ld_a * 2);
        _tile_loadd(6, b, ld_b * 4);
        _tile_loadd(7, b + TILE_SIDE, ld_b * 4);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (count <= TILE_SIDE) continue;
        _tile_loadd(5, a + TILE_SIDE * ld_a, ld_a * 2);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

static inline void load_square(const float *y, int64_t ld_y, int64_t count) {
    WRITTEN;
    _tile_loadd(0, y, ld_y * 4);
    _tile_loadd(1, y + TILE_SIDE, ld_y * 4);
    if (count <= TILE_SIDE) return;
    _tile_loadd(2, y + TILE_SIDE * ld_y, ld_y * 4);
    _tile_loadd(3, y + TILE_SIDE * ld_y + TILE_SIDE, ld_y * 4);
}

static inline void store_square(float *y, int64_t ld_y, int64_t count) {
    _tile_stored(0, y, ld_y * 4);
    _tile_stored(1, y + TILE_SIDE, ld_y * 4);
    if (count <= TILE_SIDE) return;
    _tile_stored(2, y + TILE_SIDE * ld_y, ld_y * 4);
    _tile_stored(3, y + TILE_SIDE * ld_y + TILE_SIDE, ld_y * 4);
}
#else
static inline int may_use_tiles(void) { return 0; }
static inline void release_tiles(void) {}
#endif
#endif
