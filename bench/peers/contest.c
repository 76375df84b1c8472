/*
 * The two tables. Records of a job are for one second of --seconds and are scaled with it.
 *
 * Ratios are fair when both sides write the same records, to the same disk, with the same promise;
 * where they cannot (a memory-only peer, a peer that verifies nothing) the row says so.
 */
#include "bench/peers/contest.h"

#include <weir/medium.h>

#define COUNT(array) ((unsigned)(sizeof(array) / sizeof *(array)))
#define M 1000000u

#define SIZE(min, max) .size_min = (min), .size_max = (max)

#define DURABLE(system, threads)                                                                   \
    {                                                                                              \
        .kind = JOB_APPEND, .peer = system, .writers = (threads), .batch = 1, .durable = true,     \
        SIZE(100, 100)                                                                             \
    }
#define DURABLE_WEIR(threads, where)                                                               \
    {                                                                                              \
        .kind = JOB_APPEND, .peer = "weir", .writers = (threads), .batch = 1, .durable = true,     \
        .medium = (where), SIZE(100, 100)                                                          \
    }
#define RAW(loop, threads)                                                                         \
    {                                                                                              \
        .kind = (loop), .writers = (threads), SIZE(100, 100)                                       \
    }
#define OUTSTANDING(loop, count, in_flight, size)                                                  \
    {                                                                                              \
        .kind = (loop), .outstanding = (count), .depth = (in_flight), SIZE(size, size),            \
        .medium = WEIR_MEDIUM_DIRECT                                                               \
    }
#define NO_SYNC(system, threads, together, count, size)                                            \
    {                                                                                              \
        .kind = JOB_APPEND, .peer = system, .writers = (threads), .batch = (together),             \
        .records = (count), .medium = WEIR_MEDIUM_DIRECT, SIZE(size, size)                         \
    }
#define PMEM(system, threads)                                                                      \
    {                                                                                              \
        .kind = JOB_APPEND, .peer = system, .writers = (threads), .batch = 1, .durable = true,     \
        .records = 5 * M, .medium = WEIR_MEDIUM_PMEM, .force_pmem = true, SIZE(100, 100)           \
    }
#define SCAN(system, min, max, force)                                                              \
    {                                                                                              \
        .kind = JOB_SCAN, .peer = system, .writers = 1, .batch = 64, .records = 2 * M,             \
        .medium = WEIR_MEDIUM_DIRECT, .force_pmem = (force), SIZE(min, max)                        \
    }

const struct contestant contestants[] = {
    {"raw-4k", CONTEST_EACH, RAW(JOB_RAW_OVERWRITE, 1)},
    {"weir-1", CONTEST_EACH, DURABLE_WEIR(1, WEIR_MEDIUM_DIRECT)},
    {"rocksdb-1", CONTEST_EACH, DURABLE("rocksdb", 1)},
    {"raw-mapped", CONTEST_EACH, RAW(JOB_RAW_MAPPED, 1)},
    {"weir-mapped-1", CONTEST_EACH, DURABLE_WEIR(1, WEIR_MEDIUM_MAPPED)},
    {"raw-leader-8", CONTEST_EACH, RAW(JOB_RAW_LEADER, 8)},
    {"weir-8", CONTEST_EACH, DURABLE_WEIR(8, WEIR_MEDIUM_DIRECT)},
    {"rocksdb-8", CONTEST_EACH, DURABLE("rocksdb", 8)},
    {"weir-mapped-8", CONTEST_EACH, DURABLE_WEIR(8, WEIR_MEDIUM_MAPPED)},
    {"raw-leader-64", CONTEST_EACH, RAW(JOB_RAW_LEADER, 64)},
    {"weir-64", CONTEST_EACH, DURABLE_WEIR(64, WEIR_MEDIUM_DIRECT)},
    {"rocksdb-64", CONTEST_EACH | CONTEST_OUTSTANDING, DURABLE("rocksdb", 64)},
    {"weir-mapped-64", CONTEST_EACH, DURABLE_WEIR(64, WEIR_MEDIUM_MAPPED)},
    {"lmdb-1", CONTEST_EACH, DURABLE("lmdb", 1)},
    {"lmdb-8", CONTEST_EACH, DURABLE("lmdb", 8)},
    {"lmdb-64", CONTEST_EACH, DURABLE("lmdb", 64)},
    {"wiredtiger-1", CONTEST_EACH, DURABLE("wiredtiger", 1)},
    {"wiredtiger-8", CONTEST_EACH, DURABLE("wiredtiger", 8)},
    {"wiredtiger-64", CONTEST_EACH, DURABLE("wiredtiger", 64)},
    {"sqlite-1", CONTEST_EACH, DURABLE("sqlite", 1)},
    {"sqlite-8", CONTEST_EACH, DURABLE("sqlite", 8)},
    {"sqlite-64", CONTEST_EACH, DURABLE("sqlite", 64)},

    {"raw-out-64", CONTEST_OUTSTANDING, OUTSTANDING(JOB_RAW_BATCHES, 64, 1, 100)},
    {"weir-out-64", CONTEST_OUTSTANDING, OUTSTANDING(JOB_OUTSTANDING, 64, 0, 100)},
    {"raw-out-4096", CONTEST_OUTSTANDING, OUTSTANDING(JOB_RAW_BATCHES, 4096, 4, 100)},
    {"weir-out-4096", CONTEST_OUTSTANDING, OUTSTANDING(JOB_OUTSTANDING, 4096, 0, 100)},
    {"raw-out-4096-1k", CONTEST_OUTSTANDING, OUTSTANDING(JOB_RAW_BATCHES, 4096, 4, 1024)},
    {"weir-out-4096-1k", CONTEST_OUTSTANDING, OUTSTANDING(JOB_OUTSTANDING, 4096, 0, 1024)},

    {"lmdb-none", CONTEST_NOSYNC, NO_SYNC("lmdb", 1, 1, 4 * M, 100)},
    {"weir-none", CONTEST_NOSYNC, NO_SYNC("weir", 1, 1, 4 * M, 100)},
    {"weir-none-x16", CONTEST_NOSYNC, NO_SYNC("weir", 1, 16, 4 * M, 100)},
    {"weir-none-2x16", CONTEST_NOSYNC, NO_SYNC("weir", 2, 16, 4 * M, 100)},
    {"raw-sequential",
     CONTEST_NOSYNC,
     {.kind = JOB_RAW_SEQUENTIAL, .records = 2 * M, SIZE(1024, 1024)}},
    {"weir-none-1k", CONTEST_NOSYNC, NO_SYNC("weir", 1, 1, 2 * M, 1024)},
    {"rocksdb-none", CONTEST_NOSYNC, NO_SYNC("rocksdb", 1, 1, 1 * M, 100)},
    {"wiredtiger-none", CONTEST_NOSYNC, NO_SYNC("wiredtiger", 1, 1, 4 * M, 100)},
    {"sqlite-none", CONTEST_NOSYNC, NO_SYNC("sqlite", 1, 1, 1 * M, 100)},

    {"pmemlog-1", CONTEST_PMEM, PMEM("pmemlog", 1)},
    {"weir-pmem-1", CONTEST_PMEM, PMEM("weir", 1)},
    {"pmemlog-8", CONTEST_PMEM, PMEM("pmemlog", 8)},
    {"weir-pmem-8", CONTEST_PMEM, PMEM("weir", 8)},

    {"pmemlog-scan", CONTEST_SCAN, SCAN("pmemlog", 100, 100, true)},
    {"weir-scan", CONTEST_SCAN, SCAN("weir", 100, 100, false)},
    {"rocksdb-scan", CONTEST_SCAN, SCAN("rocksdb", 100, 100, false)},
    {"lmdb-scan", CONTEST_SCAN, SCAN("lmdb", 100, 100, false)},
    {"pmemlog-scan-mixed", CONTEST_SCAN, SCAN("pmemlog", 20, 400, true)},
    {"weir-scan-mixed", CONTEST_SCAN, SCAN("weir", 20, 400, false)},
    {"rocksdb-scan-mixed", CONTEST_SCAN, SCAN("rocksdb", 20, 400, false)},
};
const unsigned contestant_count = COUNT(contestants);

#define YES "yes"
#define AT_END "at the end"
#define EMULATED "no (memory, emulated)"
#define READING "reading"

const struct contest_row contest_rows[] = {
    {"each durable, 1 writer, direct : raw 4 KiB O_DIRECT + DSYNC", CONTEST_EACH, "weir-1",
     "raw-4k", 0, 0, 0.95, YES},
    {"each durable, 1 writer, direct : RocksDB", CONTEST_EACH, "weir-1", "rocksdb-1", 0, 0, 0, YES},
    {"each durable, 1 writer, mapped : raw dirty 4 KiB + fdatasync", CONTEST_EACH, "weir-mapped-1",
     "raw-mapped", 0, 0, 0.9, YES},
    {"each durable, 8 writers, direct : RocksDB", CONTEST_EACH, "weir-8", "rocksdb-8", 0, 0, 2.8,
     YES},
    {"each durable, 8 writers, direct : ideal leader", CONTEST_EACH, "weir-8", "raw-leader-8", 0, 0,
     0, YES},
    {"each durable, 8 writers, mapped : RocksDB", CONTEST_EACH, "weir-mapped-8", "rocksdb-8", 0, 0,
     2.0, YES},
    {"each durable, 64 writers, direct : RocksDB", CONTEST_EACH, "weir-64", "rocksdb-64", 0, 0, 3.5,
     YES},
    {"each durable, 64 writers, direct : ideal leader", CONTEST_EACH, "weir-64", "raw-leader-64", 0,
     0, 0, YES},
    {"each durable, 64 writers, mapped : RocksDB", CONTEST_EACH, "weir-mapped-64", "rocksdb-64", 0,
     0, 2.0, YES},

    {"64 outstanding : raw loop, 64 in one write", CONTEST_OUTSTANDING, "weir-out-64", "raw-out-64",
     0, 0, 0.9, YES},
    {"4096 outstanding : raw loop, 4 writes of 1024", CONTEST_OUTSTANDING, "weir-out-4096",
     "raw-out-4096", 0, 0, 0.9, YES},
    {"4096 outstanding, 1 KiB : raw loop, 4 writes of 1024", CONTEST_OUTSTANDING,
     "weir-out-4096-1k", "raw-out-4096-1k", 0, 0, 0.9, YES},
    {"64 outstanding : RocksDB, 64 writers", CONTEST_OUTSTANDING, "weir-out-64", "rocksdb-64", 0, 0,
     7.0, YES},

    {"no sync, 1 writer : LMDB, one transaction, MDB_APPEND", CONTEST_NOSYNC, "weir-none",
     "lmdb-none", 0, 0, 3.5, AT_END},
    {"no sync, 1 KiB : what the disk takes, bytes", CONTEST_NOSYNC, "weir-none-1k",
     "raw-sequential", CONTEST_BYTES_PER_S, CONTEST_BYTES_PER_S, 0.95, AT_END},
    {"no sync, 2 writers, batches of 16 : 1 writer", CONTEST_NOSYNC, "weir-none-2x16", "weir-none",
     0, 0, 1.2, AT_END},
    {"no sync, 2 writers, batches of 16 : 1 writer, batches of 16", CONTEST_NOSYNC,
     "weir-none-2x16", "weir-none-x16", 0, 0, 0, AT_END},
    {"no sync, 1 writer : RocksDB", CONTEST_NOSYNC, "weir-none", "rocksdb-none", 0, 0, 0, AT_END},

    {"pmem, each, 1 writer : libpmemlog", CONTEST_PMEM, "weir-pmem-1", "pmemlog-1", 0, 0, 2.3,
     EMULATED},
    {"pmem, each, 8 writers : libpmemlog", CONTEST_PMEM, "weir-pmem-8", "pmemlog-8", 0, 0, 8.0,
     EMULATED},

    {"scan, already verified : pmemlog_walk", CONTEST_SCAN, "weir-scan", "pmemlog-scan", 0, 0, 1.2,
     READING},
    {"scan, already verified, 20-400 B : pmemlog_walk", CONTEST_SCAN, "weir-scan-mixed",
     "pmemlog-scan-mixed", 0, 0, 1.2, READING},
    {"scan, first verification : RocksDB updates-since", CONTEST_SCAN, "weir-scan", "rocksdb-scan",
     CONTEST_FIRST_PER_S, CONTEST_PER_S, 12.0, READING},
    {"scan, first verification, 20-400 B : RocksDB updates-since", CONTEST_SCAN, "weir-scan-mixed",
     "rocksdb-scan-mixed", CONTEST_FIRST_PER_S, CONTEST_PER_S, 12.0, READING},
    {"scan, already verified : LMDB cursor", CONTEST_SCAN, "weir-scan", "lmdb-scan", 0, 0, 0,
     READING},
};
const unsigned contest_row_count = COUNT(contest_rows);

int contestant_find(const char *id)
{
    for (unsigned index = 0; index < contestant_count; index++) {
        if (strcmp(contestants[index].id, id) == 0) {
            return (int)index;
        }
    }
    return -1;
}

static unsigned group_named(const char *name, size_t length)
{
    static const struct {
        const char *name;
        unsigned bits;
    } groups[] = {
        {"each", CONTEST_EACH},     {"outstanding", CONTEST_OUTSTANDING},
        {"nosync", CONTEST_NOSYNC}, {"pmem", CONTEST_PMEM},
        {"scan", CONTEST_SCAN},     {"all", CONTEST_ALL},
    };
    for (unsigned index = 0; index < COUNT(groups); index++) {
        if (strlen(groups[index].name) == length && memcmp(groups[index].name, name, length) == 0) {
            return groups[index].bits;
        }
    }
    return 0;
}

unsigned contest_groups_parse(const char *list)
{
    unsigned bits = 0;
    while (true) {
        size_t length = strcspn(list, ",");
        unsigned group = group_named(list, length);
        if (group == 0) {
            return 0;
        }
        bits |= group;
        if (list[length] == '\0') {
            return bits;
        }
        list += length + 1;
    }
}
