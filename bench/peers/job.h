/*
 * One measurement of one system in a process of its own: what to do, and what came out. Both
 * structs cross a socket between two runs of the same program, so they hold no pointers.
 *
 * A process for each keeps environments (PMEM_IS_PMEM_FORCE), allocators, page tables and crashes
 * of one system away from all others.
 */
#ifndef BENCH_PEERS_JOB_H
#define BENCH_PEERS_JOB_H

#include "bench/peers/peer.h"

enum peer_job_kind {
    JOB_APPEND = 1,         /* a peer: append, from `writers` threads */
    JOB_SCAN = 2,           /* a peer: fill, reopen, scan twice and more */
    JOB_OUTSTANDING = 3,    /* Weir: one thread with `outstanding` records in flight */
    JOB_RAW_OVERWRITE = 4,  /* 4 KiB, O_DIRECT + DSYNC, one at a time */
    JOB_RAW_MAPPED = 5,     /* one dirty 4 KiB of a shared mapping + fdatasync */
    JOB_RAW_BATCHES = 6,    /* `outstanding` records in `depth` writes in flight */
    JOB_RAW_LEADER = 7,     /* blocking writers under an ideal leader */
    JOB_RAW_SEQUENTIAL = 8, /* what the disk takes without sync */
};

struct peer_job {
    enum peer_job_kind kind;
    char peer[16];       /* for JOB_APPEND and JOB_SCAN */
    char directory[512]; /* exists, empty */
    unsigned writers;
    unsigned batch;
    unsigned outstanding;
    unsigned depth;
    size_t size_min;
    size_t size_max;
    bool durable;     /* each append; else one sync at the end */
    bool verify;      /* reopen afterwards and check that every record is there */
    bool force_pmem;  /* run with PMEM_IS_PMEM_FORCE=1 */
    int medium;       /* Weir: enum weir_medium_kind */
    double seconds;   /* how long, at most */
    uint64_t records; /* how many, at most; 0 = no limit */
};

struct peer_outcome {
    int rc;             /* 0, or why it failed: see failure */
    double per_s;       /* records; for the raw writes operations; scans: passes after the first */
    double first_per_s; /* scans: the first pass behind a reopen */
    double bytes_per_s; /* payload; for the raw loops device bytes */
    double setup_s;
    double seconds;
    double p50_us;
    double p99_us;
    double p999_us;
    uint64_t records;
    uint64_t scanned;   /* with verify: found after the reopen, */
    uint64_t strangers; /* and those among them that nobody had written */
    char failure[PEER_TEXT_MAX];
};

/* Does the job in this process. */
void peer_job_run(const struct peer_job *job, struct peer_outcome *ret_outcome);

/* Does the job in a child, whose end is waited for. outcome->rc tells of its death too. */
void peer_job_spawn(const struct peer_job *job, struct peer_outcome *ret_outcome);

/* The child's main: reads the job from the socket `fd`, answers there. Returns the exit code. */
int peer_job_child(int fd);

#endif
