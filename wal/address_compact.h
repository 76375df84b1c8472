/*
 * Compaction of the log, for the storage engine, which decides what may go; how it is done safely
 * is the log's business (docs/adr/0012-compaction-replaces-runs-of-segments.md).
 *
 *     struct wal_address_compaction compaction = {.horizon = H, .keep = keep, .moved = moved};
 *     struct wal_address_compaction_report report;
 *     rc = wal_address_compact(log, &compaction, &report, &error);
 *
 * A step takes a run of neighbouring sealed segments whose kept records fit into one, writes that
 * one, checks it as it lies on the medium, and puts it in the place of the run with one update of
 * CONTROL: a crash leaves the old or the new, whole. Full segments with little to drop stay as they
 * are. Appends, cursors, pins and other processes go on; one compaction at a time.
 */
#ifndef WAL_ADDRESS_COMPACT_H
#define WAL_ADDRESS_COMPACT_H

#include <weir/cursor.h>
#include <weir/log.h>

/* What keep() answers for a record at or below the horizon. */
enum wal_address_verdict {
    WAL_ADDRESS_DROP = 0, /* a newer one at or below the horizon has taken its place */
    WAL_ADDRESS_KEEP = 1,
    /* A delete that only older records of its key need, which are dropped as well: it goes when all
     * that could be dropped in front of it has gone, or replay would bring them back. */
    WAL_ADDRESS_DROP_LAST = 2,
};

struct wal_address_compaction {
    weir_lsn horizon; /* records above it are all kept; at most durable */

    /* Is a record needed for the state as of the horizon? For each one of a type from
     * WEIR_TYPE_RESERVED on at or below it, up to twice, the same each time; others are kept (of
     * cancelled reservations nothing is). One of the above; < 0 ends it. The record is lent for the
     * call, its address is that of wal_address_read(). */
    int (*keep)(void *context, const struct weir_record *record, uint64_t address);

    /* NULL, or called once a step is durable, for each record of that kind in it: it has another
     * address now, or none (0) when it was dropped. The record is lent from its old address, which
     * can be read during the call, and as long as its segment is pinned; not found anew. */
    void (*moved)(void *context, const struct weir_record *record, uint64_t old_address,
                  uint64_t new_address);

    /* NULL, or called once, when something is found that is worth a step, in front of that step:
     * the horizon has to hold from now on. < 0 ends it. */
    int (*begin)(void *context);

    /* NULL, or called every now and then with the bytes read so far, and how many there will be,
     * which becomes less when segments are left as they are; may sleep; < 0 ends it. */
    int (*throttle)(void *context, uint64_t bytes, uint64_t all_bytes);

    void *context;
    uint64_t max_steps; /* 0: as many as there are */
    bool thorough; /* also segments that free none: so that all that may be dropped is, deletes too
                    */
};

struct wal_address_compaction_report {
    uint64_t steps;
    uint64_t segments_in, segments_out;
    uint64_t bytes_in, bytes_out; /* of their groups */
    uint64_t records_kept, records_dropped;
    bool untold; /* it failed when a step was done, and not all that has moved was told */
};

/* Returns 0 (also when there was nothing to do); what keep(), begin() or throttle() returned;
 * WEIR_E_HELD (a hold other than "engine" needs records at or below the horizon); WEIR_E_DAMAGED (a
 * segment); -EBUSY (a compaction is under way); -EINVAL; -ENOSPC; WEIR_E_POISONED;
 * WEIR_E_READ_ONLY; -errno. When it fails, the steps that were done, which the report counts, are
 * done and durable; what was under way has not happened. */
int wal_address_compact(struct weir_log *log, const struct wal_address_compaction *compaction,
                        struct wal_address_compaction_report *ret_report, struct weir_error *why);

/* Makes the file that a step writes into ahead of need, so that compaction works when the disk has
 * become full. It stays. 0; -errno. */
int wal_address_compact_reserve(struct weir_log *log);

#endif
