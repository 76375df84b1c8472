/*
 * A system under test: a small table of functions that appends records and reads them back. One
 * file for each system; Weir is one of them, so that all go through the same loop, the same records
 * and the same clock.
 *
 *   open → writer_open (one for each thread) → append ... → sync → writer_close → close → open →
 * scan
 *
 * The promise of `append` with durable = true is the one of WEIR_EACH: the records are on the
 * medium when it returns. sync makes everything durable that this writer has appended.
 *
 * Calls return 0 or a negative number; peer_fail() keeps the system's own words for the report.
 */
#ifndef BENCH_PEERS_PEER_H
#define BENCH_PEERS_PEER_H

#include "bench/payload.h"

#include <string.h>

#define PEER_TEXT_MAX 240

struct peer_settings {
    char directory[512]; /* exists, empty when created */
    size_t size_max;     /* of a record */
    bool fixed_size;     /* every record has size_max bytes */
    bool for_scan;       /* the log will be read from its start: keep all of it */
    bool durable;        /* appends will be */
    unsigned writers;
    unsigned batch;          /* records of one append() */
    uint64_t expected_bytes; /* of payload: make room before the clock starts */
    int medium;              /* Weir: enum weir_medium_kind */
};

/* What a scan does with each record: touch it, count it, and in tests check it. */
struct peer_tally {
    uint64_t records;
    uint64_t bytes;
    uint64_t mixed;                    /* keeps the compiler from leaving the loads out */
    const struct bench_payload *check; /* NULL, or what each record must be one of */
    uint64_t strangers;                /* records that are none of these */
};

static inline void peer_tally_add(struct peer_tally *tally, const void *data, size_t size)
{
    uint64_t first = 0;
    memcpy(&first, data, size < sizeof first ? size : sizeof first);
    tally->mixed += first;
    tally->records++;
    tally->bytes += size;
    if (__builtin_expect(tally->check != NULL, 0)) {
        tally->strangers += !bench_payload_is_genuine(tally->check, data, size);
    }
}

struct peer_ops {
    const char *name;     /* "rocksdb" */
    const char *title;    /* "RocksDB" */
    const char *settings; /* how it is set up, in a sentence: printed with the results */
    bool force_pmem;      /* its process runs with PMEM_IS_PMEM_FORCE=1 */

    int (*open)(const struct peer_settings *settings, bool create, void **ret_peer);
    void (*close)(void *peer);
    int (*writer_open)(void *peer, void **ret_writer);
    void (*writer_close)(void *writer);
    int (*append)(void *writer, const struct weir_part *records, unsigned count, bool durable);
    int (*sync)(void *writer);
    /* All records from the first, in any order. */
    int (*scan)(void *peer, struct peer_tally *tally);
};

/* Those that were found when this was built; NULL ends the list. Weir is the first. */
extern const struct peer_ops *const peer_list[];
const struct peer_ops *peer_find(const char *name);

/* Remembers why, for the report; returns -EIO. */
__attribute__((format(printf, 1, 2))) int peer_fail(const char *format, ...);
const char *peer_failure(void);

extern const struct peer_ops peer_weir;
extern const struct peer_ops peer_rocksdb;
extern const struct peer_ops peer_lmdb;
extern const struct peer_ops peer_pmemlog;
extern const struct peer_ops peer_wiredtiger;
extern const struct peer_ops peer_sqlite;

#endif
