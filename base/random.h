/*
 * Chance: bytes from the kernel for identities and salts, and a seeded generator for tests and
 * workloads whose runs must be repeatable.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Fills `data` with unpredictable bytes. Returns 0 or -errno (a kernel without getrandom and no
 * /dev/urandom); the content is undefined then.
 */
int base_random_bytes(void *data, size_t size);

/* xoshiro256**: the same seed gives the same numbers on every machine. Not for secrets. */
struct base_prng {
    uint64_t state[4];
};

void base_prng_seed(struct base_prng *prng, uint64_t seed);
uint64_t base_prng_next(struct base_prng *prng);

/* Uniform in [0, bound), without bias. @param bound > 0. */
uint64_t base_prng_below(struct base_prng *prng, uint64_t bound);

/* Uniform in [0, 1). */
double base_prng_unit(struct base_prng *prng);

/* Fills `data` with pseudo-random bytes. */
void base_prng_fill(struct base_prng *prng, void *data, size_t size);

#endif
