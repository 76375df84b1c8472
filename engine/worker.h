/*
 * A number for each thread that comes here, so that threads begin at different slots, regions and
 * counters. Only a hint: two threads may share what a number leads to.
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include <stdint.h>

extern _Thread_local uint32_t worker_number_of_thread; /* 0 before it has one */

uint32_t worker_number_take(void);

/* The next thread to come, or this one, gets the first number again, as in a fresh process: for
 * tests whose runs have to be equal. Nobody else is here. */
void worker_numbers_restart(void);

static inline uint32_t worker_number(void)
{
    uint32_t number = worker_number_of_thread;
    return __builtin_expect(number != 0, 1) ? number : worker_number_take();
}

#endif
