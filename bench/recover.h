/*
 * The clocked parts of `weir bench recover`: what reads the files of a log, each once.
 *
 * The phases open the log in a child that is killed with the log open, so that each one finds what
 * a crash leaves. The raw reads do what the disk and the page cache allow, over the same files.
 */
#ifndef BENCH_RECOVER_H
#define BENCH_RECOVER_H

#include "bench/bench.h"
#include "bench/payload.h"

struct recover_log {
    const struct bench_recover_options *options;
    const struct bench_payload *payload;
    const char *path;
};

/* What one pass over the log took. */
struct recover_pass {
    double seconds;
    double cpu_s;            /* of this process: what a machine that others use cannot distort */
    double scan_s, repair_s; /* of an open: its report */
    uint64_t bytes, records; /* read */
    uint64_t segments;       /* files in it; of the writer: what it left behind */
    bool durable, emulated;
    char medium[16];
    char io[16];
    char error[256];
};

/* User and system time of this process so far. */
double recover_cpu_s(void);

/* In a child each: 0 or a negative error, with pass->error. */
int recover_write(const struct recover_log *log, struct recover_pass *ret_pass);
int recover_open_default(const struct recover_log *log, struct recover_pass *ret_pass);
int recover_open_all(const struct recover_log *log, struct recover_pass *ret_pass);
int recover_verify(const struct recover_log *log, struct recover_pass *ret_pass);
int recover_cursor(const struct recover_log *log, struct recover_pass *ret_pass);

/* Reads of the segment files that know nothing of the log. -EINVAL: no O_DIRECT here. */
int recover_raw_direct(const struct recover_log *log, size_t chunk_bytes, unsigned depth,
                       struct recover_pass *ret_pass);
int recover_raw_buffered(const struct recover_log *log, struct recover_pass *ret_pass);
int recover_raw_mapped(const struct recover_log *log, struct recover_pass *ret_pass);

#endif
