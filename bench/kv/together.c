/* Threads that begin together, each as soon as the last one is there. */
#include "bench/kv/plan.h"

#include "base/alloc.h"
#include "base/sync.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t kv_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t kv_process_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

struct together {
    int (*main)(void *context, unsigned index);
    void *context;
    _Atomic uint32_t gate; /* 1: go; 2: too few came, end */
    _Atomic int error;
};

struct member {
    struct together *together;
    unsigned index;
    struct base_thread thread;
};

static void run_member(void *context)
{
    struct member *member = context;
    struct together *together = member->together;
    uint32_t gate;
    /* Acquire pairs with the release in kv_together. */
    while ((gate = atomic_load_explicit(&together->gate, memory_order_acquire)) == 0) {
        (void)base_wait(&together->gate, 0, -1, false);
    }
    int rc = gate == 1 ? together->main(together->context, member->index) : 0;
    if (rc < 0) {
        atomic_store_explicit(&together->error, rc, memory_order_relaxed);
    }
}

int kv_together(unsigned count, int (*main)(void *context, unsigned index), void *context)
{
    struct together together = {.main = main, .context = context};
    struct member *members = base_alloc_array(count, sizeof *members);
    if (members == NULL) {
        return -ENOMEM;
    }
    int rc = 0;
    unsigned started = 0;
    for (; rc == 0 && started < count; started += rc == 0 ? 1 : 0) {
        members[started].together = &together;
        members[started].index = started;
        rc = base_thread_start(&members[started].thread, "bench", run_member, &members[started]);
    }
    atomic_store_explicit(&together.gate, rc == 0 ? 1 : 2, memory_order_release);
    base_wake(&together.gate, INT_MAX, false);
    for (unsigned index = 0; index < started; index++) {
        base_thread_join(&members[index].thread);
    }
    base_free(members);
    return rc < 0 ? rc : atomic_load_explicit(&together.error, memory_order_relaxed);
}
