/*
 * A host: opening, closing, and finding the systems in it.
 *
 * Happy path: open; attach systems (host_attach.c); deliver (host_deliver.c, host_thread.c); close,
 * which stops deliveries and detaches all, each saved.
 *
 * Failure modes: a name that nobody has; a call from inside of a callback, which would wait for
 * itself: -EDEADLK; a system that cannot be saved while closing: the first error is returned, all
 * are let go.
 *
 * Invariants: a system is not freed while somebody uses it; whoever waits on `moved` has counted
 * himself before he looked, so that no move is missed.
 */
#include "derived/host.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/append.h>

#define SAVE_RECORDS_DEFAULT ((uint64_t)1 << 20)

static _Thread_local uint32_t inside;

static _Thread_local uint32_t keeping; /* systems, of whatever hosts; its address is the thread's */

static bool keeps_one_of(struct weir_host *host)
{
    base_lock_acquire(&host->lock);
    const struct host_system *system = host->systems;
    while (system != NULL && system->keeper != &keeping) {
        system = system->next;
    }
    base_lock_release(&host->lock);
    return system != NULL;
}

bool host_is_inside(struct weir_host *host)
{
    return inside > 0 || (keeping > 0 && keeps_one_of(host));
}

void host_keep(struct host_system *system)
{
    base_lock_acquire(&system->host->lock);
    system->keeper = &keeping;
    base_lock_release(&system->host->lock);
    keeping++;
}

void host_let_go(struct host_system *system)
{
    WEIR_ASSERT(system->keeper == &keeping);
    base_lock_acquire(&system->host->lock);
    system->keeper = NULL;
    base_lock_release(&system->host->lock);
    keeping--;
}

void host_go_inside(struct weir_host *host)
{
    inside++;
    int rc = weir_log_callback_begin(host->log); /* of one log at a time, since nobody nests */
    WEIR_ASSERT(rc == 0);
}

void host_come_out(struct weir_host *host)
{
    weir_log_callback_end(host->log);
    inside--;
}

int host_error(struct weir_error *ret_error, int code, const char *format, ...)
{
    if (ret_error != NULL) {
        size_t size = ret_error->size;
        *ret_error = (struct weir_error)WEIR_ERROR_INIT;
        ret_error->size = size;
        ret_error->code = code;
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(ret_error->text, sizeof ret_error->text, format, arguments);
        va_end(arguments);
    }
    return code;
}

/* ---- systems by name ---- */

struct host_system *host_find(struct weir_host *host, const char *name)
{
    struct host_system *system = host->systems;
    while (system != NULL && strcmp(system->name, name) != 0) {
        system = system->next;
    }
    return system;
}

int host_use(struct weir_host *host, const char *name, struct host_system **ret_system)
{
    if (host == NULL || name == NULL) {
        return -EINVAL;
    }
    if (host_is_inside(host)) {
        return -EDEADLK;
    }
    base_lock_acquire(&host->lock);
    struct host_system *system = host_find(host, name);
    system = system != NULL && system->ready && !system->leaving ? system : NULL;
    if (system != NULL) {
        atomic_fetch_add_explicit(&system->users, 1, memory_order_relaxed);
    }
    base_lock_release(&host->lock);
    *ret_system = system != NULL ? system : *ret_system;
    return system != NULL ? 0 : WEIR_E_NO_SYSTEM;
}

void host_unuse(struct host_system *system)
{
    /* Under the lock: whoever detaches frees the system only after this has let go of it. */
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    uint32_t before = atomic_fetch_sub_explicit(&system->users, 1, memory_order_acq_rel);
    WEIR_ASSERT(before > 0);
    if (before == 1 && system->leaving) {
        base_wake(&system->users, INT_MAX, false);
    }
    base_lock_release(&host->lock);
}

/* ---- who waits ---- */

void host_announce(struct weir_host *host)
{
    atomic_fetch_add_explicit(&host->moved, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&host->waiters, memory_order_seq_cst) > 0) {
        base_wake(&host->moved, INT_MAX, false);
    }
}

void host_wake_thread(struct weir_host *host)
{
    atomic_fetch_add_explicit(&host->wake, 1, memory_order_seq_cst);
    base_wake(&host->wake, INT_MAX, false);
}

/* ---- opening and closing ---- */

int weir_host_open(struct weir_engine *engine, const struct weir_host_options *options,
                   struct weir_host **ret_host)
{
    if (engine == NULL || ret_host == NULL ||
        (options != NULL && options->size != sizeof *options)) {
        return -EINVAL;
    }
    struct weir_host *host = base_alloc_zero(sizeof *host);
    if (host == NULL) {
        return -ENOMEM;
    }
    host->engine = engine;
    host->log = weir_engine_log(engine);
    host->save_records = options != NULL && options->save_records != 0 ? options->save_records
                                                                       : SAVE_RECORDS_DEFAULT;
    *ret_host = host;
    return 0;
}

int weir_host_close(struct weir_host *host)
{
    if (host == NULL) {
        return 0;
    }
    if (host_is_inside(host)) {
        return -EDEADLK;
    }
    int first = weir_host_stop(host);
    int rc = weir_host_push(host, false);
    first = first < 0 ? first : rc;
    while (host->systems != NULL) {
        char name[WEIR_STATE_NAME_MAX + 1];
        memcpy(name, host->systems->name, sizeof name);
        rc = weir_host_detach(host, name);
        first = first < 0 ? first : rc;
    }
    WEIR_ASSERT(host->lanes == NULL);
    base_free(host);
    return first;
}
