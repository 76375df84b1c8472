/*
 * Attaching and detaching: from a name to a system that is delivered to, and back.
 *
 * Happy path of attaching: lock the name; read what is known of it; load its state; set the hold;
 * open a lane where the state ends, or where the system starts; write the status down; put the lane
 * among the others. Detaching: wait until nobody uses it, take it off its lane, save, let go.
 *
 * Failure modes:
 *   the name is taken here or elsewhere      WEIR_E_ATTACHED, nothing has changed
 *   the state is damaged, another's, refused the system begins again, its reason says why
 *   memory or the medium fails in between    the state stays, everything is undone
 *   what comes behind its position is gone   attached and parked, WEIR_E_POSITION_LOST
 *   anything else                            everything is undone
 *
 * Invariants: the hold stands before the stream is opened, and never above what is saved plus one.
 * A crash while attaching leaves a name with a hold, a status, or both: the next one finds its way.
 */
#include "derived/consumer.h"
#include "derived/host.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/append.h>
#include <weir/inspect.h>
#include <weir/maintain.h>
#include <weir/retain.h>
#include <weir/state_lock.h>

#define HOLD_TRIES 16
#define ALL_OPERATIONS (WEIR_ON_INSERT | WEIR_ON_UPDATE | WEIR_ON_REMOVE)

/* ---- holds ---- */

/* The earliest record may be dropped while one looks. */
static int hold_everything(struct host_system *system)
{
    struct weir_log *log = system->host->log;
    int rc = WEIR_E_TRUNCATED;
    for (int i = 0; i < HOLD_TRIES && rc == WEIR_E_TRUNCATED; i++) {
        struct weir_stat stat = WEIR_STAT_INIT;
        rc = weir_log_stat(log, &stat);
        if (rc == 0) {
            weir_lsn first = stat.earliest != 0 ? stat.earliest : stat.durable + 1;
            rc = weir_hold_set(log, system->name, first);
        }
    }
    return rc;
}

static int hold_behind(struct host_system *system, weir_lsn lsn)
{
    int rc = weir_hold_set(system->host->log, system->name, lsn + 1);
    return rc == WEIR_E_TRUNCATED ? WEIR_E_POSITION_LOST : rc;
}

/* What a stream that is opened from now on can begin behind: no snapshot is as of an older LSN. */
static weir_lsn earliest_now(struct weir_host *host)
{
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    if (weir_engine_stat(host->engine, &status) < 0) {
        return WEIR_LSN_NONE;
    }
    return status.applied < status.durable ? status.applied : status.durable;
}

/* Also where everything is gone below: then there is nothing to be held there. */
static int hold_from_now(struct host_system *system)
{
    int rc = hold_behind(system, earliest_now(system->host));
    return rc == WEIR_E_POSITION_LOST ? hold_everything(system) : rc;
}

int host_hold(struct host_system *system)
{
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    bool has_saved = system->has_saved;
    weir_lsn saved = system->saved;
    base_lock_release(&host->lock);
    if (system->unsaved) {
        return 0;
    }
    if (has_saved) {
        return hold_behind(system, saved);
    }
    if (system->pinned && !host_is_to_come(system)) {
        return system->start_lsn == HOST_UNKNOWN_LSN ? WEIR_E_POSITION_LOST
                                                     : hold_behind(system, system->start_lsn);
    }
    if (!host_is_anew(system)) { /* it has its state, which was never saved */
        return hold_behind(system, system->position);
    }
    switch (system->start) {
    case WEIR_START_NOW:
    case WEIR_START_SNAPSHOT:
        return hold_from_now(system);
    case WEIR_START_BEHIND:
        if (system->start_lsn > earliest_now(host)) {
            return hold_from_now(system);
        }
        if (hold_behind(system, system->start_lsn) == 0) {
            return 0;
        }
        break; /* it gets the state as of the horizon */
    case WEIR_START_BEGINNING:
        break;
    }
    return hold_everything(system);
}

weir_lsn host_hold_floor(struct host_system *system)
{
    weir_lsn floor = HOST_UNKNOWN_LSN;
    if (!system->unsaved && consumer_hold(system->host->log, system->name, &floor) < 0) {
        floor = HOST_UNKNOWN_LSN;
    }
    return floor;
}

/* One that was raised stays there: what it was raised for is saved. */
void host_hold_restore(struct host_system *system, weir_lsn before)
{
    if (system->unsaved || before == HOST_UNKNOWN_LSN) {
        return;
    }
    if (before == 0) {
        (void)weir_hold_drop(system->host->log, system->name);
    } else {
        (void)weir_hold_move(system->host->log, system->name, before);
    }
}

int host_hold_stands(struct host_system *system)
{
    return system->unsaved ? 0 : consumer_found(system->host->log, system->name);
}

/* ---- making ---- */

static bool is_complete(const struct weir_system_ops *ops)
{
    bool all =
        ops->reset != NULL && ops->save != NULL && ops->load != NULL && ops->fingerprint != NULL;
    bool none = ops->reset == NULL && ops->save == NULL && ops->load == NULL &&
                ops->fingerprint == NULL && ops->entries == NULL;
    return ops->size == sizeof *ops && ops->apply != NULL && ops->kind != NULL &&
           strlen(ops->kind) <= WEIR_STATE_KIND_MAX && (all || none);
}

static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_-.";
    size_t size = strlen(name);
    return size > 0 && size <= WEIR_STATE_NAME_MAX && name[0] != '.' &&
           strspn(name, allowed) == size && strcmp(name, WEIR_HOLD_ENGINE) != 0;
}

static bool is_system(const struct weir_system *system)
{
    static const uint8_t zero[sizeof system->reserved];
    return system != NULL && system->size == sizeof *system && system->name != NULL &&
           is_name(system->name) && system->ops != NULL && is_complete(system->ops) &&
           (unsigned)system->start <= WEIR_START_SNAPSHOT &&
           (system->operations & ~ALL_OPERATIONS) == 0 &&
           (system->tables != NULL || system->table_count == 0) &&
           memcmp(system->reserved, zero, sizeof zero) == 0;
}

static struct host_system *make(struct weir_host *host, const struct weir_system *system)
{
    struct host_system *made = base_alloc_zero(sizeof *made);
    weir_table *tables = base_alloc_array(system->table_count, sizeof *tables);
    if (made == NULL || tables == NULL) {
        base_free(made);
        base_free(tables);
        return NULL;
    }
    if (system->table_count > 0) {
        memcpy(tables, system->tables, system->table_count * sizeof *tables);
    }
    made->host = host;
    memcpy(made->name, system->name, strlen(system->name) + 1);
    made->ops = system->ops;
    made->self = system->self;
    made->tables = tables;
    made->table_count = system->table_count;
    made->operations = system->operations != 0 ? system->operations : ALL_OPERATIONS;
    made->unsaved = system->unsaved;
    made->start = system->start;
    made->start_lsn = system->start == WEIR_START_BEHIND ? system->lsn : WEIR_LSN_NONE;
    made->max_lag_bytes = system->max_lag_bytes;
    made->whole = true;
    return made;
}

static void destroy(struct host_system *system)
{
    base_free(system->tables);
    base_free(system);
}

/* False: the name is taken. Nobody else finds it before it is ready. */
static bool list(struct host_system *system)
{
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    bool is_free = host_find(host, system->name) == NULL;
    if (is_free) {
        struct host_system **link = &host->systems;
        while (*link != NULL) {
            link = &(*link)->next;
        }
        *link = system;
        system->number = ++host->attached;
    }
    base_lock_release(&host->lock);
    return is_free;
}

static void unlist(struct host_system *system)
{
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    struct host_system **link = &host->systems;
    while (*link != system) {
        link = &(*link)->next;
    }
    *link = system->next;
    base_lock_release(&host->lock);
}

/* ---- loading ---- */

static void reset(struct host_system *system)
{
    if (system->ops->reset != NULL) {
        system->ops->reset(system->self);
    }
}

/* Why the state is not taken, in system->reason. */
__attribute__((format(printf, 2, 3))) static void refuse(struct host_system *system,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(system->reason, sizeof system->reason, format, arguments);
    va_end(arguments);
}

/* It says nothing of the state, which may be loaded the next time. */
static bool is_for_now(int rc)
{
    return rc == -ENOMEM || rc == -EIO || rc == -EAGAIN || rc == -EACCES || rc == -EMFILE ||
           rc == -ENFILE;
}

/* 0, taken or refused; an error that is for now. */
static int take_state(struct host_system *system, struct weir_state_reader *reader)
{
    const struct weir_system_ops *ops = system->ops;
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    int rc = weir_state_about(reader, &about);
    if (rc == 0 && strcmp(about.kind, ops->kind) != 0) {
        refuse(system, "rebuilt: its state was of kind \"%s\"", about.kind);
        return 0;
    }
    if (rc == 0 && about.version != ops->version) {
        refuse(system, "rebuilt: its state was of version %" PRIu32 ", this is %" PRIu32,
               about.version, ops->version);
        return 0;
    }
    rc = rc == 0 && ops->load != NULL ? ops->load(system->self, reader) : rc;
    if (rc < 0) {
        reset(system);
        if (is_for_now(rc)) {
            return rc;
        }
        refuse(system, "rebuilt: its state could not be loaded: %s", weir_error_text(rc));
        return 0;
    }
    system->position = about.position;
    system->saved = about.position;
    system->has_saved = true;
    system->begun = true;
    if (system->start == WEIR_START_NOW && !system->pinned) { /* its status is gone */
        system->pinned = true;
        system->start_lsn = HOST_UNKNOWN_LSN;
    }
    return 0;
}

/* 0, with or without a state; errors of the medium, and others that are for now. */
static int load(struct host_system *system)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_state_reader *reader;
    reset(system);
    int rc = weir_state_open(system->host->log, system->name, HOST_STATE_FILE, &reader, &why);
    if (rc == 0) {
        rc = take_state(system, reader);
        weir_state_close(reader);
    } else if (rc == WEIR_E_STATE) {
        refuse(system, "rebuilt: %s", why.text);
        rc = 0;
    }
    return rc == -ENOENT ? 0 : rc;
}

/* ---- attaching ---- */

/* 0; WEIR_E_POSITION_LOST (it is parked); others. */
static int place(struct host_system *system, struct host_lane **ret_lane,
                 struct weir_error *ret_error)
{
    if (system->parked != 0 && system->parked != WEIR_E_POSITION_LOST) {
        return 0; /* since it was driven the last time: the hold stands */
    }
    system->parked = 0;
    int rc = host_hold(system);
    rc = rc < 0 ? host_error(ret_error, rc, "%s", weir_error_text(rc))
                : host_lane_open(system, ret_lane, ret_error);
    rc = rc == 0 ? host_hold_stands(system) : rc;
    if (rc == WEIR_E_POSITION_LOST) {
        if (!system->unsaved) {
            (void)weir_hold_drop(system->host->log, system->name);
        }
        host_park(system, rc, system->position + 1, NULL);
    }
    return rc;
}

static int is_name_of(void *context, const char *name)
{
    const struct host_system *system = context;
    return strcmp(system->name, name) == 0 ? 1 : 0;
}

/* 0; errors of the medium, of a load that may succeed the next time, of place(). */
static int load_and_place(struct host_system *system, struct host_lane **ret_lane,
                          struct weir_error *ret_error)
{
    int rc = host_read_status(system);
    rc = rc < 0 ? rc : load(system);
    if (rc < 0) {
        return host_error(ret_error, rc, "%s", weir_error_text(rc));
    }
    rc = place(system, ret_lane, ret_error);
    int written = rc == 0 || rc == WEIR_E_POSITION_LOST ? host_write_status(system) : 0;
    return written < 0 ? host_error(ret_error, written, "%s", weir_error_text(written)) : rc;
}

/* What can fail, before anybody sees it. What others have put beside the state stays. */
static int prepare(struct host_system *system, struct host_lane **ret_lane,
                   struct weir_error *ret_error)
{
    struct weir_log *log = system->host->log;
    int known = system->unsaved ? 1 : weir_state_list(log, is_name_of, system);
    int rc = known < 0 ? known : 0;
    rc = rc < 0 || system->unsaved ? rc : weir_state_lock(log, system->name, &system->name_lock);
    if (rc < 0) {
        return host_error(ret_error, rc, "%s", weir_error_text(rc));
    }
    weir_lsn hold = host_hold_floor(system);
    rc = load_and_place(system, ret_lane, ret_error);
    if (rc == 0 || rc == WEIR_E_POSITION_LOST) {
        return rc;
    }
    if (*ret_lane != NULL) {
        host_lane_close(*ret_lane);
        *ret_lane = NULL;
    }
    host_hold_restore(system, hold);
    if (known == 0) {
        (void)weir_state_remove(log, system->name, NULL);
    }
    weir_state_unlock(system->name_lock);
    return rc;
}

static void show(struct host_system *system, struct host_lane *lane)
{
    struct weir_host *host = system->host;
    if (lane != NULL) {
        host_lane_add(lane, system);
    }
    base_lock_acquire(&host->lock);
    system->ready = true;
    if (lane != NULL) {
        system->rebuilding = true; /* nobody else touches its lane until that is joined */
        system->position = lane->position;
        /* What was saved is whole; else not before the state that it begins with. */
        system->whole = lane->whole || !host_is_anew(system);
        atomic_fetch_add_explicit(&system->users, 1, memory_order_relaxed);
    }
    base_lock_release(&host->lock);
    if (lane == NULL) {
        return;
    }
    if (atomic_load_explicit(&host->pushing, memory_order_acquire)) {
        (void)host_catch_up(system, NULL); /* an error stays in the lane, for all to see */
    } else {
        host_gate_enter(&host->delivery);
        host_lane_join(lane);
        host_gate_leave(&host->delivery);
    }
    base_lock_acquire(&host->lock);
    system->rebuilding = false;
    base_lock_release(&host->lock);
    host_unuse(system);
}

int weir_host_attach(struct weir_host *host, const struct weir_system *system,
                     struct weir_error *ret_error)
{
    struct host_lane *lane = NULL;
    if (host == NULL || !is_system(system)) {
        return host_error(ret_error, -EINVAL, "%s", weir_error_text(-EINVAL));
    }
    if (host_is_inside(host)) {
        return host_error(ret_error, -EDEADLK, "%s", weir_error_text(-EDEADLK));
    }
    struct host_system *made = make(host, system);
    if (made == NULL) {
        return host_error(ret_error, -ENOMEM, "%s", weir_error_text(-ENOMEM));
    }
    if (!list(made)) {
        destroy(made);
        return host_error(ret_error, WEIR_E_ATTACHED, "%s", weir_error_text(WEIR_E_ATTACHED));
    }
    int rc = prepare(made, &lane, ret_error);
    if (rc < 0 && rc != WEIR_E_POSITION_LOST) {
        unlist(made);
        destroy(made);
        return rc;
    }
    show(made, lane);
    if (atomic_load_explicit(&host->pushing, memory_order_acquire)) {
        (void)host_deliver(host, weir_durable_lsn(host->log));
    }
    (void)host_do_chores(host);
    host_announce(host);
    host_wake_thread(host);
    return rc;
}

/* ---- detaching ---- */

static void wait_until_unused(struct host_system *system)
{
    uint32_t users;
    while ((users = atomic_load_explicit(&system->users, memory_order_acquire)) > 0) {
        base_wait(&system->users, users, -1, false);
    }
    /* Whoever was the last has let go of the lock, too, once this one has it. */
    base_lock_acquire(&system->host->lock);
    base_lock_release(&system->host->lock);
}

int weir_host_detach(struct weir_host *host, const char *name)
{
    struct host_system *system = NULL;
    int rc = host_use(host, name, &system);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&host->lock);
    bool first = !system->leaving;
    system->leaving = true;
    base_lock_release(&host->lock);
    host_unuse(system);
    if (!first) {
        return WEIR_E_NO_SYSTEM;
    }
    host_announce(host); /* who waits for it, waits in vain */
    wait_until_unused(system);
    host_gate_enter(&host->delivery);
    host_lane_leave(system);
    host_gate_leave(&host->delivery);
    rc = host_save_system(system);
    int status = system->status_due ? host_write_status(system) : 0;
    weir_state_unlock(system->name_lock);
    unlist(system);
    destroy(system);
    return rc < 0 ? rc : status;
}
