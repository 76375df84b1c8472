/*
 * The handle: one struct per concern, each owned by the file that is named after it. This header is
 * for engine/ only.
 *
 *   places     place.c      segments of the log that are kept readable     atomics, places.lock
 *   tables     table.c      names, and an index for each                   atomics, tables.lock
 *   stripes    stripe.c     locks of keys, and who is writing              their locks
 *   snapshots  snapshot.c   what the horizon must not pass                 snapshots.lock
 *   follow     replay.c     applying records in the order of the log       follow.lock
 *   upkeep     maintain.c   the last checkpoint; one at a time             upkeep.lock
 *   space      space.c      how much room the disk has left                atomics, space.lock
 *   told       open.c       the report of the last build                   told.lock
 *   after_write  after_write.c  whom writers tell                          atomics, its lock
 *   gaps       gap.c        what a salvage could not copy                  atomics, or alone
 *
 * Lock order: upkeep, follow, stripes (ascending), tables, snapshots, places; nodes of the index;
 * then the locks of the log; told beside them all. Read sections (epochs) are entered before any of
 * them but upkeep and follow.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/gap.h"
#include "engine/index.h"
#include "engine/place.h"
#include "engine/record.h"
#include "engine/shortcut.h"
#include "engine/space.h"
#include "wal/address.h"

#include <weir/maintain.h>
#include <weir/read.h>
#include <weir/snapshot.h>
#include <weir/write.h>

/* ---- tables ---- */

struct engine_table {
    struct index index;
    char name[WEIR_TABLE_NAME_MAX + 1];
    weir_table number;
    weir_lsn created;
    _Atomic uint64_t deleted; /* keys in the index whose newest record is a delete */
};

struct engine_tables {
    struct base_lock lock; /* adding */
    _Atomic(struct engine_table *) slots[WEIR_TABLES_MAX];
    _Atomic uint32_t end; /* above the largest number in use */
};

/* ---- stripes ---- */

#define STRIPES 256u

struct engine_stripe {
    alignas(BASE_CACHE_LINE) struct base_lock lock;
    _Atomic uint64_t announced; /* 0, or at most the LSN that its holder is about to get */
};

/* ---- the handle ---- */

struct engine_snapshots {
    struct base_lock lock;
    struct weir_snapshot *first;
    uint32_t count;
};

struct engine_follow {
    struct base_lock lock;
    _Atomic uint64_t replayed; /* up to here; of a reader it is what is applied */
    _Atomic uint64_t found;    /* of a writer: what stripe_applied() has found; never goes back */
};

struct engine_upkeep {
    struct base_lock lock;
    _Atomic uint64_t checkpoint_lsn;   /* P of the newest checkpoint; 0 = none */
    _Atomic uint64_t checkpoint_bytes; /* weir_stat.append_bytes then; may be below zero */
    char reason[200];                  /* why a checkpoint was not used */
    struct checkpoint_ahead *ahead;    /* one that is being read while the log is opened; or NULL */
};

struct engine_told {
    struct base_lock lock;
    struct weir_engine_open_report report;
};

struct engine_after_write {
    struct base_lock lock; /* setting it */
    _Atomic(weir_after_write_fn) fn;
    void *context;
    _Atomic uint32_t running; /* writers that call it, or are about to look */
};

struct weir_engine {
    struct weir_log *log;
    struct weir_engine_options options;
    struct weir_engine_open_report report; /* of who builds, or follows */
    struct engine_told told;               /* the same of the last build, for others */
    bool read_only;
    uint64_t change_bytes; /* most that head, key and value of a record may have together */
    uint64_t margin_bytes; /* room in the arena that a new key must find */
    _Atomic int failed; /* the index is behind the log: nothing more is written; of a reader: there
                           is none, and nothing is read */
    _Atomic uint32_t renewing; /* 1: the index is being built anew, stay outside */
    uint64_t layout;           /* of the log, when the index was built */
    _Atomic bool held;         /* the hold "engine" is set */
    _Atomic uint64_t horizon;
    struct engine_epochs epochs;
    struct engine_arena arena;
    struct engine_shortcuts shortcuts;
    struct engine_places places;
    struct engine_tables tables;
    struct engine_snapshots snapshots;
    struct engine_follow follow;
    struct engine_upkeep upkeep;
    struct engine_space space;
    struct engine_gaps gaps;
    _Atomic uint32_t streams; /* that are open: changes.c */
    struct engine_after_write after_write;
    struct base_lock compacting; /* addresses move, or must not; comes before all others */
    struct engine_stripe stripes[STRIPES];
};

/* ---- table.c ---- */

/* NULL when there is no table of that number. */
static inline struct engine_table *table_of(struct weir_engine *engine, weir_table number)
{
    /* Acquire pairs with the release in table_add(). */
    return number < WEIR_TABLES_MAX
               ? atomic_load_explicit(&engine->tables.slots[number], memory_order_acquire)
               : NULL;
}

/* Makes a table that is not there yet: 0 (also when it is); -ENOMEM. */
int table_add(struct weir_engine *engine, weir_table number, const char *name, weir_lsn created);
void table_free_all(struct weir_engine *engine);

/* ---- stripe.c ---- */

uint64_t stripe_hash(weir_table table, struct weir_bytes key);
static inline uint32_t stripe_of_hash(uint64_t hash)
{
    return (uint32_t)(hash >> 32) % STRIPES;
}
static inline uint32_t stripe_of(weir_table table, struct weir_bytes key)
{
    return stripe_of_hash(stripe_hash(table, key));
}
/* Asks for what stripe_lock() will want, which another CPU may have. */
static inline void stripe_prefetch(struct weir_engine *engine, uint32_t stripe)
{
    __builtin_prefetch(&engine->stripes[stripe], 1);
}

void stripe_lock(struct weir_engine *engine, uint32_t stripe);
void stripe_unlock(struct weir_engine *engine, uint32_t stripe);

/* Between these two, the holder of a stripe takes LSNs and brings them into the index. */
void stripe_announce(struct weir_engine *engine, uint32_t stripe);
void stripe_retract(struct weir_engine *engine, uint32_t stripe);

/* Everything up to here is in the index; of a batch all or nothing. */
weir_lsn stripe_applied(struct weir_engine *engine);

/* min(applied, durable). */
weir_lsn engine_settled(struct weir_engine *engine);

/* ---- refresh.c ---- */

/* Enters a section, or waits until the index that is being built anew is there. 0; what made that
 * fail. epoch_leave() ends it. */
int section_enter(struct weir_engine *engine, uint32_t *ret_slot);

/* ---- open.c ---- */

/* Throws tables, nodes and pins away; nobody uses them. 0; -ENOMEM. */
int engine_start_afresh(struct weir_engine *engine);

/* Loads a checkpoint, replays the rest, fills the report. The engine is empty. */
int engine_build(struct weir_engine *engine, struct weir_error *why);

/* The same, once more when a writer beside has compacted the log meanwhile. */
int engine_build_beside(struct weir_engine *engine, struct weir_error *why);

/* ---- version.c ---- */

/* From a version to the one before: 1; 0 (there is none, or it was compacted away, or it is at or
 * below the horizon and so is this one); WEIR_E_DAMAGED and others. */
int version_before(struct weir_engine *engine, const struct engine_version *version,
                   struct engine_version *ret_before);

/* The version before, wherever the horizon is: 1; 0 (it is not there); errors as above. */
int version_find(struct weir_engine *engine, const struct engine_version *version,
                 struct engine_version *ret_before);

/* The value that an update or a remove took the place of; what is found counts, wherever the
 * horizon is by now. 0; WEIR_E_HORIZON (it is gone, and the version is at or below the horizon);
 * WEIR_E_DAMAGED (it is gone otherwise, or was a delete); errors of reading. */
int version_before_image(struct weir_engine *engine, const struct engine_version *version,
                         struct engine_version *ret_before);

/* The horizon as it is now: the writer beside a reader may have moved it. */
weir_lsn version_learn_horizon(struct weir_engine *engine);

/* The version that counts as of an LSN, from the newest one on (which may be it): 1, a delete too;
 * 0 (none is that old); WEIR_E_HORIZON; errors as above. */
int version_as_of(struct weir_engine *engine, weir_lsn as_of, struct engine_version *version);

/* ---- snapshot.c ---- */

/* The oldest snapshot's LSN; false without one. The caller holds snapshots.lock. */
bool snapshot_oldest(struct weir_engine *engine, weir_lsn *ret_lsn);

/* ---- follow.c ---- */

/* Applies a record that lies at an address, in the order of the log: records of other types, and
 * versions that are not newer than the index has, change nothing. 0; WEIR_E_RECORD; -ENOMEM; errors
 * of reading. Alone, or under follow.lock. */
int follow_apply(struct weir_engine *engine, const struct weir_record *record, uint64_t address);

/* The detail of an error of a record (then the cursor may be NULL), or of a cursor. Returns rc. */
int follow_explain(const struct weir_cursor *cursor, const struct weir_record *record, int rc,
                   struct weir_error *why);

/* ---- replay.c ---- */

/* Replays from an LSN to the end of what is durable, one record after the other, a writer's by
 * options.threads side by side. Nobody else has the engine, or, beside its writer, under
 * follow.lock. */
int replay_from(struct weir_engine *engine, weir_lsn from, struct weir_error *why);

/* ---- rebuild.c ---- */

/* As replay_from(), while the engine is opened and nobody else has it, with options.threads:
 * many times faster when there is much to replay. */
int rebuild_replay(struct weir_engine *engine, weir_lsn from, struct weir_error *why);

/* A detail of an error. Returns code. why may be NULL. */
int engine_error(struct weir_error *why, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes sure that the log is held before the first record of the engine is in it. 0; -errno. */
int engine_hold(struct weir_engine *engine);

/* 0, or why no call is possible: WEIR_E_FORKED by the log's own answer. */
int engine_check(const struct weir_engine *engine);

#endif
