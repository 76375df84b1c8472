/*
 * What the log knows of a consumer beside its state: written by the host, read by consumer.c.
 *
 *   derived/NAME/state    the system's state, its kind, its position         <weir/state.h>
 *   derived/NAME/status   struct consumer_status, below; by who has the lock
 *   derived/NAME/lost     is there when it was cut loose; by who cuts, with or without the lock
 *   holds/NAME            floor = position + 1
 *
 * The host, when it attaches, with the lock of the name taken:
 *
 *     consumer_status_read(log, name, &status, why);        // -ENOENT: it is new
 *     ... weir_hold_set(log, name, position + 1) ...        // where that is still possible
 *     consumer_found(log, name);                            // it is held again
 *     consumer_status_write(log, name, &status, why);
 *
 * and when it parks one, retries or skips: consumer_status_write(). The mark goes when a hold was
 * set, and only then: who was cut loose while it is attached may be parked, too. A status says
 * nothing of the position; a state that is not there means "before the start": started_behind.
 */
#ifndef DERIVED_CONSUMER_H
#define DERIVED_CONSUMER_H

#include <weir/consumer.h>

#define CONSUMER_STATE_FILE "state"
#define CONSUMER_STATUS_FILE "status"
#define CONSUMER_LOST_FILE "lost"
#define CONSUMER_REASON_BYTES sizeof(((struct weir_consumer *)0)->reason)

struct consumer_status {
    char kind[WEIR_STATE_KIND_MAX + 1];
    char reason[sizeof(((struct weir_consumer *)0)->reason)]; /* why it is parked, or "" */
    int parked;                                               /* 0, or why: what apply returned */
    weir_lsn parked_lsn;     /* of the event that it is parked at */
    uint64_t max_lag_bytes;  /* 0 = is never cut loose */
    uint32_t start;          /* enum weir_start that it was first attached with */
    weir_lsn started_behind; /* the position that it began at, before anything was applied */
};

/* 0; -ENOENT; WEIR_E_STATE (damaged, of another log, of a version that is not known); errors of
 * weir_state_open(). */
int consumer_status_read(struct weir_log *log, const char *name, struct consumer_status *ret_status,
                         struct weir_error *why);

/* Durable, atomic. Texts that are too long are cut. Errors of weir_state_commit(). */
int consumer_status_write(struct weir_log *log, const char *name,
                          const struct consumer_status *status, struct weir_error *why);

/* Was it cut loose since it was last found? 1; 0; -errno. */
int consumer_is_lost(struct weir_log *log, const char *name);

/* The floor of its hold, 0 when there is none: 0; errors of weir_hold_list(). */
int consumer_hold(struct weir_log *log, const char *name, weir_lsn *ret_floor);

/* It has a hold again: the mark of having been cut loose goes. 0; -errno. */
int consumer_found(struct weir_log *log, const char *name);

#endif
