/*
 * Helper verbs for tests of the engine: a log on a disk in memory, and short ways to put and get.
 */
#ifndef TESTS_ENGINE_STORE_H
#define TESTS_ENGINE_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sim/memory.h>
#include <weir/weir.h>

/* A log and its engine, on a disk that outlives both. */
struct store {
    struct weir_medium *keeper;
    struct sim_memory_options disk;
    struct weir_log_options log_options;
    struct weir_engine_options engine_options;
    struct weir_log *log;
    struct weir_engine *engine;
};

#define STORE_SEGMENT ((uint64_t)256 << 10)
#define STORE_INDEX ((uint64_t)16 << 20)

/* Asserts success. */
void store_open(struct store *store);
void store_open_with(struct store *store, uint64_t segment_bytes, uint64_t index_bytes);
void store_reopen(struct store *store);
void store_close(struct store *store); /* and forget the disk */

/* The steps of reopening, for tests that look at what happens between. */
void store_stop(struct store *store);
void store_start(struct store *store);

/* Makes a checkpoint; what the last open did. Assert success. */
void store_checkpoint(struct store *store);
struct weir_engine_open_report store_report(struct store *store);

static inline struct weir_bytes text(const char *string)
{
    return (struct weir_bytes){string, strlen(string)};
}

/* Durability none; the LSN. Asserts success. */
weir_lsn put(struct store *store, const char *key, const char *value);
weir_lsn put_in(struct store *store, weir_table table, const char *key, const char *value);
weir_lsn erase(struct store *store, const char *key);

/* Puts of keys from `key0` to `key4999`, which come again and again, and a delete each eleventh
 * time; settled. */
void fill_store(struct store *store, int from, int count);

/* A record under a type of the engine that it has not written itself; the LSN. */
weir_lsn append_record(struct store *store, uint16_t type, const void *payload, size_t size);

/* Of the stopped store no file has this text any more: where it was it fails its checksum. */
void rot(struct store *store, const char *text);

/* All that was appended is durable, so that it can be seen as of an LSN. */
void settle(struct store *store);

/* value NULL: absent. lsn 0: any. as_of UINT64_MAX: the newest. */
void expect(struct store *store, const char *key, const char *value, weir_lsn lsn);
void expect_as_of(struct store *store, weir_lsn as_of, const char *key, const char *value);

/* "a=1 b=2": the rows of a scan, in the order that they come. */
void expect_scan(struct store *store, weir_lsn as_of, const struct weir_scan_options *options,
                 const char *rows);

/* "3:x 2:- 1:y": LSN and value, newest first; "-" for a delete. */
void expect_history(struct store *store, const char *key, const char *versions);

/* Another process's handles on the same disk, for reading. */
struct beside {
    struct weir_log *log;
    struct weir_engine *engine;
};
void store_open_beside(struct store *store, struct beside *beside);
void store_close_beside(struct beside *beside);

struct fingerprint {
    uint8_t bytes[16];
    uint64_t keys;
};
struct fingerprint fingerprint_of(struct store *store, weir_lsn lsn);
void expect_fingerprint(struct store *store, weir_lsn lsn, const struct fingerprint *expected);

#endif
