/* Consumers, as the log knows them: every derived system that was ever attached and not dropped,
 * also those that no process drives now.
 *
 *     weir_consumer_list(log, print, NULL);
 *     weir_consumer_cut(log, report, NULL);         // lets go of those behind their limit
 *     weir_consumer_drop(log, "by_section");
 *
 * Threads: any.
 */
#ifndef WEIR_CONSUMER_H
#define WEIR_CONSUMER_H

#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_consumer {
    char name[WEIR_STATE_NAME_MAX + 1];
    char kind[WEIR_STATE_KIND_MAX + 1];
    weir_lsn position; /* saved */
    uint64_t lag_records, lag_bytes;
    bool attached; /* somebody drives it now */
    bool lost;     /* cut loose: it has no hold, and has to be rebuilt */
    int parked;    /* 0, or why */
    weir_lsn parked_lsn;
    uint64_t max_lag_bytes; /* 0 = is never cut loose */
    char reason[200];       /* why it is parked; that its state is not readable; "" */
};

typedef int (*weir_consumer_fn)(void *context, const struct weir_consumer *consumer);

/* In order of name. */
int weir_consumer_list(struct weir_log *log, weir_consumer_fn fn, void *context);

/* Drops the hold of each consumer that is further behind than it may be, and calls fn (may be NULL)
 * with it. Its next resume is WEIR_E_POSITION_LOST once compaction has passed it. */
int weir_consumer_cut(struct weir_log *log, weir_consumer_fn fn, void *context);

/* Removes name, position, state and hold: 0; -ENOENT; WEIR_E_ATTACHED. */
int weir_consumer_drop(struct weir_log *log, const char *name);

#ifdef __cplusplus
}
#endif
#endif
