/* What a million recoveries a minute need of the system: pages that are handed out again instead of
 * going back, clocks and chance that repeat, and no other process.
 */
#ifndef TESTS_CRASH_POOL_H
#define TESTS_CRASH_POOL_H

#include <stdint.h>

/* Installs the table in base; pool_end() gives everything back and removes it. */
void pool_begin(void);
void pool_end(void);

/* Clocks and random bytes begin again from here. */
void pool_seed(uint64_t seed);

#endif
