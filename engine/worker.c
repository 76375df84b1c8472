/*
 * Numbers of threads: counted up, never given back.
 *
 * The happy path: a thread takes the next number when it comes for the first time.
 * Failure modes: none; after 2^32 threads the numbers begin again, and 0 is left out.
 * Invariants: a number is a hint, nothing depends on it being the only one.
 */
#include "engine/worker.h"

#include <stdatomic.h>

_Thread_local uint32_t worker_number_of_thread;

static _Atomic uint32_t taken;

uint32_t worker_number_take(void)
{
    uint32_t number = 1 + atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    worker_number_of_thread = number != 0 ? number : 1;
    return worker_number_of_thread;
}

void worker_numbers_restart(void)
{
    atomic_store_explicit(&taken, 0, memory_order_relaxed);
    worker_number_of_thread = 0;
}
