/*
 * Random bytes from getrandom, from /dev/urandom where that call is missing or forbidden, and
 * xoshiro256** (Blackman and Vigna, public domain) seeded through splitmix64.
 */
#include "base/random.h"

#include "base/assert.h"
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int read_urandom(char *data, size_t size)
{
    int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return -errno;
    }
    int result = 0;
    while (size > 0) {
        ssize_t count = read(file, data, size);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            result = count < 0 ? -errno : -EIO;
            break;
        }
        data += count;
        size -= (size_t)count;
    }
    close(file);
    return result;
}

static int read_getrandom(char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = getrandom(data, size, 0);
        if (count >= 0) {
            data += count;
            size -= (size_t)count;
        } else if (errno == ENOSYS || errno == EPERM) {
            return read_urandom(data, size);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int base_random_bytes(void *data, size_t size)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(random);
    if (system != NULL) {
        return system->random(system->context, data, size);
    }
    return read_getrandom(data, size);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

void base_prng_seed(struct base_prng *prng, uint64_t seed)
{
    for (size_t index = 0; index < 4; index++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t mixed = seed;
        mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
        prng->state[index] = mixed ^ mixed >> 31;
    }
}

uint64_t base_prng_next(struct base_prng *prng)
{
    uint64_t *state = prng->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t base_prng_below(struct base_prng *prng, uint64_t bound)
{
    WEIR_ASSERT(bound > 0);
    /* The lowest 2^64 % bound numbers are one too many for some results: draw again. */
    uint64_t excess = -bound % bound;
    uint64_t value;
    do {
        value = base_prng_next(prng);
    } while (value < excess);
    return value % bound;
}

double base_prng_unit(struct base_prng *prng)
{
    return (double)(base_prng_next(prng) >> 11) * 0x1.0p-53;
}

void base_prng_fill(struct base_prng *prng, void *data, size_t size)
{
    char *bytes = data;
    while (size > 0) {
        uint64_t word = base_prng_next(prng);
        size_t part = size < sizeof word ? size : sizeof word;
        memcpy(bytes, &word, part);
        bytes += part;
        size -= part;
    }
}
