/*
 * The contest: who runs, and which ratios are looked at. A contestant is a job with a name; a row
 * compares two of them in the same round and holds the ratio against its goal.
 */
#ifndef BENCH_PEERS_CONTEST_H
#define BENCH_PEERS_CONTEST_H

#include "bench/peers/job.h"

enum contest_group {
    CONTEST_EACH = 1u << 0,
    CONTEST_OUTSTANDING = 1u << 1,
    CONTEST_NOSYNC = 1u << 2,
    CONTEST_PMEM = 1u << 3,
    CONTEST_SCAN = 1u << 4,
    CONTEST_ALL = (1u << 5) - 1,
};

struct contestant {
    const char *id;      /* "rocksdb-8" */
    unsigned groups;     /* CONTEST_* */
    struct peer_job job; /* directory, seconds and the scale of records are filled in */
};

/* Which number of an outcome a row looks at. */
enum contest_measure {
    CONTEST_PER_S = 0,
    CONTEST_FIRST_PER_S = 1,
    CONTEST_BYTES_PER_S = 2,
};

struct contest_row {
    const char *title;
    unsigned group;      /* CONTEST_* */
    const char *subject; /* id of the contestant whose rate is divided */
    const char *against; /* by the rate of this one */
    enum contest_measure measure;
    enum contest_measure against_measure;
    double goal;            /* of the ratio; 0: for information */
    const char *durability; /* what survives power loss in this row */
};

extern const struct contestant contestants[];
extern const unsigned contestant_count;
extern const struct contest_row contest_rows[];
extern const unsigned contest_row_count;

/* Index in contestants, or -1. */
int contestant_find(const char *id);

/* "each,scan" → bits; 0 when a name is unknown. */
unsigned contest_groups_parse(const char *list);

#endif
