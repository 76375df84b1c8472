/*
 * A small key-value model over the engine's records, for tests of compaction: what was written,
 * what may go as of a horizon, and whether a log still tells the same story.
 */
#ifndef TESTS_WAL_COMPACT_SUPPORT_H
#define TESTS_WAL_COMPACT_SUPPORT_H

#include "support.h"

#include "wal/address.h"
#include "wal/address_compact.h"

#define STORY_RECORDS_MAX 8192u
#define STORY_KEYS 64u
#define STORY_PUT WEIR_TYPE_RESERVED
#define STORY_DELETE ((uint16_t)(WEIR_TYPE_RESERVED + 1))
#define STORY_APPLICATION ((uint16_t)7) /* a record that is none of the engine's */

struct story_record {
    uint16_t type;
    uint32_t key, size;
    uint64_t address; /* of the engine's; moves */
    uint64_t time_ns; /* 0: not known yet */
};

struct story {
    weir_lsn first, last;
    weir_lsn horizon;       /* of the compactions so far */
    weir_lsn asked_horizon; /* of the one that is under way */
    bool gathers;           /* does not wait for each record: groups hold several */
    struct story_record records[STORY_RECORDS_MAX]; /* by LSN */
    uint64_t kept, dropped, moved;                  /* what keep() said and moved() heard */
    uint64_t stop_at_bytes;                         /* throttle() ends it there; 0: never */
};

struct story *story_new(void);
void story_free(struct story *story);

/* Appends one record; fails the test on error. story_try_put() returns it. */
int story_try(struct story *story, struct weir_log *log, uint16_t type, uint32_t key,
              uint32_t size);
void story_put(struct story *story, struct weir_log *log, uint32_t key, uint32_t size);
void story_delete(struct story *story, struct weir_log *log, uint32_t key);
void story_application(struct story *story, struct weir_log *log, uint32_t size);

/* Puts of keys 0 to keys - 1, in turn, until the log has this many segments more. */
void story_fill(struct story *story, struct weir_log *log, uint32_t keys, uint32_t size,
                unsigned segments);

/* A compaction of this story. */
struct wal_address_compaction story_compaction(struct story *story, weir_lsn horizon);

/* Compacts and expects success. */
struct wal_address_compaction_report story_compact(struct story *story, struct weir_log *log,
                                                   weir_lsn horizon);

/* Is the record of this LSN needed for the state as of the horizon? */
int story_needs(const struct story *story, weir_lsn lsn, weir_lsn horizon);

/* Reads the log in the compacted view: LSNs ascend, all above the horizon are there, and below it
 * all that are needed; each is as it was written, with its time; and the fold of them is the state
 * of the story. Returns how many there are. */
uint64_t story_expect(struct story *story, struct weir_log *log);

/* The addresses that are known lead to the records. */
void story_expect_addresses(struct story *story, struct weir_log *log);

#endif
