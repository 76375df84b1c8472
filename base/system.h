/*
 * What base takes from the operating system for everybody else, as one replaceable table.
 *
 * Normally base_system_current is NULL and base calls the system directly. A test or the
 * simulator installs a table to own time, scheduling, memory and chance; a member that is NULL
 * keeps its default. Process-wide; set it only while no other thread is inside the library.
 *
 * A hook never calls the base function that it replaces (that would recurse): it calls the system.
 */
#ifndef BASE_SYSTEM_H
#define BASE_SYSTEM_H

#include "base/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base_system {
    void *context; /* handed to every hook */

    /* Clocks, in nanoseconds; see base/clock.h. */
    uint64_t (*realtime)(void *context);
    uint64_t (*monotonic)(void *context);
    uint64_t (*coarse)(void *context);

    /* Scheduling; see base/sync.h for the exact contracts. */
    int (*wait)(void *context, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns,
                bool shared);
    void (*wake)(void *context, _Atomic uint32_t *word, int count, bool shared);
    void (*yield)(void *context);

    /* Memory; alloc may return NULL, alignment is a power of two. See base/alloc.h. */
    void *(*alloc)(void *context, size_t alignment, size_t size);
    void (*free)(void *context, void *memory);
    void *(*pages_alloc)(void *context, size_t size, unsigned flags);
    void (*pages_free)(void *context, void *memory, size_t size);
    uint64_t (*memory_available)(void *context);

    /* 0 or -errno. See base/random.h. */
    int (*random)(void *context, void *data, size_t size);

    /* Threads; see base/thread.h. Both or none. */
    int (*thread_start)(void *context, struct base_thread *thread, const char *name,
                        base_thread_main main, void *main_context);
    void (*thread_join)(void *context, struct base_thread *thread);

    /* There is no other process: base_shared_page_create() and _open() answer -ENOSYS, and a fork
     * guard guards nothing. */
    bool alone;
};

/* Read by base on every call; written by base_system_set only. */
extern const struct base_system *base_system_current;

/* @param system  must outlive its use; NULL restores the defaults. */
void base_system_set(const struct base_system *system);

/* The table in use when it replaces `member`, else NULL: one load and a predictable branch. */
#define BASE_SYSTEM_HOOK(member)                                                                   \
    (__builtin_expect(base_system_current != NULL, 0) && base_system_current->member != NULL       \
         ? base_system_current                                                                     \
         : NULL)

static inline bool base_system_is_alone(void)
{
    return __builtin_expect(base_system_current != NULL, 0) && base_system_current->alone;
}

#endif
