/*
 * Tells a forked child that it is one, for the price of a load: a page that the kernel wipes on
 * fork.
 *
 * A child inherits the parent's memory and descriptors of a log but not its threads nor its lock;
 * any use would corrupt the parent's log, so every entry point asks here first.
 */
#ifndef BASE_FORK_GUARD_H
#define BASE_FORK_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct base_fork_guard {
    _Atomic uint32_t *alive; /* 1 in the process that created it, 0 in its children */
};

/* Returns 0, -ENOMEM, or -EINVAL (a kernel before 4.14). */
int base_fork_guard_create(struct base_fork_guard *guard);

/* In the child as well: it frees the child's copy of the page. Twice is harmless. */
void base_fork_guard_destroy(struct base_fork_guard *guard);

static inline bool base_fork_guard_is_child(const struct base_fork_guard *guard)
{
    return __builtin_expect(atomic_load_explicit(guard->alive, memory_order_relaxed) == 0, 0);
}

#endif
