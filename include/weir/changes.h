/* The change stream: what was put and deleted, in the order of the log, each with its before-image.
 *
 *     weir_changes_open(engine, NULL, &changes);             // from the beginning
 *     struct weir_event events[256];
 *     for (;;) {
 *         int count = weir_changes_next(changes, events, 256);   // 0 caught up, < 0 error
 *         if (count == 0)
 *             count = weir_changes_wait(changes, 250000000);     // tail: up to 250 ms
 *         ...
 *     }
 *
 * Writers know nothing of it: a stream reads the log and follows the link in each record to the
 * version before, so nothing is copied. It shows durable records only.
 *
 * Start: at the beginning, now, behind an LSN, or with the state of this moment. Where compaction
 * has left only a state (at and below the horizon H), a stream that starts there gets the state as
 * of H, in order of table and key, as events with `state` set, then what came behind it. Nothing is
 * missed or seen twice between the two, however many writers run.
 *
 * A stream holds nothing in the log while it is idle: compaction may overtake it
 * (WEIR_E_POSITION_LOST). A consumer (<weir/host.h>) has a hold.
 *
 * Lifetime: what an event lends stays valid until the next call on that stream.
 * Threads: one thread at a time per stream; any number of streams.
 */
#ifndef WEIR_CHANGES_H
#define WEIR_CHANGES_H

#include <weir/change.h>
#include <weir/read.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_changes;

/* One change. before is there for WEIR_UPDATE and WEIR_REMOVE, after for WEIR_INSERT and
 * WEIR_UPDATE; the other one is empty. */
struct weir_event {
    weir_lsn lsn;
    uint64_t time_ns; /* of its group */
    weir_table table;
    enum weir_operation operation;
    bool state;          /* a row of the state that the stream begins with: WEIR_INSERT, with
                            the LSN and the time of the row's version */
    weir_lsn before_lsn; /* of the version that before is; 0 without one */
    struct weir_bytes key, before, after;
};

enum weir_changes_from {
    WEIR_CHANGES_BEGINNING = 0, /* all that is retained; what compaction dropped as a state */
    WEIR_CHANGES_NOW = 1,       /* only what becomes durable from now on */
    WEIR_CHANGES_BEHIND = 2,    /* behind options.lsn; below the horizon as from the beginning */
    WEIR_CHANGES_SNAPSHOT = 3,  /* the state as of now, then what comes behind it */
    WEIR_CHANGES_RESUME = 4,    /* behind options.lsn, or WEIR_E_POSITION_LOST: for one who has
                                   the state as of it */
};

#define WEIR_ON_INSERT 1u
#define WEIR_ON_UPDATE 2u
#define WEIR_ON_REMOVE 4u

struct weir_changes_options {
    size_t size; /* sizeof(struct weir_changes_options) */
    enum weir_changes_from from;
    uint32_t operations; /* WEIR_ON_*; 0 = all. Rows of a state are inserts */
    weir_lsn lsn;
    const weir_table *tables; /* only these; copied */
    size_t table_count;       /* 0 = all */
};

#define WEIR_CHANGES_OPTIONS_INIT WEIR_SIZED_INIT(weir_changes_options)

int weir_changes_open(struct weir_engine *engine, const struct weir_changes_options *options,
                      struct weir_changes **ret_changes);
void weir_changes_close(struct weir_changes *changes);

/* Lends up to max events, those that pass the filters: the count; 0 (caught up);
 * WEIR_E_POSITION_LOST, errors of weir_cursor_next() and weir_get(). */
int weir_changes_next(struct weir_changes *changes, struct weir_event *ret_events, int max);
int weir_changes_wait(struct weir_changes *changes, int64_t timeout_ns);
int weir_changes_eventfd(struct weir_changes *changes, int *ret_fd);

/* Everything up to this LSN was lent, or does not pass the filters. While a state is being lent:
 * the LSN before it (0 at the beginning). */
weir_lsn weir_changes_position(const struct weir_changes *changes);

/* No atomic write is cut in two at the position, and no state is half lent: what was built from the
 * events so far is a state that weir_read_begin() can show as of the position. */
bool weir_changes_is_whole(const struct weir_changes *changes);

/* The LSN that the stream's state is as of: 0 when it began without one. */
weir_lsn weir_changes_state_lsn(const struct weir_changes *changes);

/* The name of a table that an event has named; lent until the stream is closed. "" is the default
 * table, NULL when it is not known. */
const char *weir_changes_table_name(struct weir_changes *changes, weir_table table);

int weir_changes_error(const struct weir_changes *changes, struct weir_error *ret_error);

#ifdef __cplusplus
}
#endif
#endif
