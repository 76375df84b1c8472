/*
 * The benchmarks: `weir bench ...`, and the same as functions for programs that want the numbers.
 *
 *     struct bench_append_options options = BENCH_APPEND_OPTIONS_INIT;
 *     options.directory = "/srv/logs";
 *     struct bench_result result;
 *     int rc = bench_append(&options, &result);
 *     printf("%.0f records/s on %s\n", result.records_per_s, result.medium);
 *
 * What keeps them honest: segments are made before the clock starts (setup_s), one commit inside
 * the clock ends every run, each thread has its own histogram and they are merged, latency at a
 * rate is measured from the intended start times, and the medium, the io and what they promise are
 * in every result.
 *
 * Everything is written to a directory of its own inside options.directory, removed at the end.
 * Threads: one call at a time; each starts the threads that its options ask for.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <weir/log.h>

/* `weir bench ...`: argv[0] is "bench", argv[1] the subcommand. Returns the exit code. */
int bench_main(int argc, char **argv);

struct bench_append_options {
    const char *directory; /* made when absent */
    size_t size_min;       /* bytes of a record, uniform between the two; both in 1..1 MiB */
    size_t size_max;
    unsigned writers;     /* blocking threads, 1 to 1024; 1 when outstanding > 1 */
    unsigned outstanding; /* records that one thread keeps outstanding; 1 = it blocks on each */
    unsigned batch;       /* records handed over together, 1 to 4096; 1 when outstanding > 1 */
    enum weir_durability durability;
    enum weir_medium_kind medium;
    enum weir_io_kind io;
    enum weir_witness witness;
    uint64_t segment_bytes; /* 0 = the log's default */
    double seconds;         /* how long, when records is 0 */
    uint64_t records;       /* how many, over all writers */
    double open_loop_per_s; /* > 0: latency at this rate, measured after the peak */
    bool open_loop_half;    /* latency at half of the peak rate of this run */
    bool cold;              /* make segments inside the clock */
    bool event_loop;        /* outstanding > 1: weir_eventfd and weir_process, not weir_wait */
    bool emulated_pmem;     /* accept persistent memory that is none */
};

#define BENCH_APPEND_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .size_min = 100, .size_max = 100, .writers = 1, .outstanding = 1, .batch = 1,              \
        .durability = WEIR_EACH, .seconds = 2.0                                                    \
    }

struct bench_result {
    uint64_t records;
    uint64_t bytes; /* payload */
    double seconds; /* from the first append to the end of the last commit */
    double setup_s; /* opening and making segments before the clock started */
    double records_per_s;
    double bytes_per_s;
    double p50_us; /* latency; 0 where none was measured */
    double p99_us;
    double p999_us;
    double max_us;
    uint64_t latency_count; /* how many latencies the percentiles stand on */
    double open_loop_per_s; /* the rate they were measured at; 0: closed loop */
    double flushes_per_record;
    double device_bytes_per_byte; /* handed to the device, by payload byte */
    uint64_t segments_made;       /* inside the clock: 0 unless cold or longer than foreseen */
    bool durable;                 /* false: memory only */
    bool emulated;                /* persistent memory that is none */
    bool interrupted;             /* SIGINT ended it: what is here is partial */
    char medium[16];
    char io[16];
    char reason[240]; /* why this medium */
    char error[400];  /* set when the call fails: one sentence */
};

/*
 * Appends to a fresh log as fast as it can, then, if asked, at a given rate.
 * Returns 0 or a negative error of Weir or of the system; result->error says what failed.
 */
int bench_append(const struct bench_append_options *options, struct bench_result *ret_result);

struct bench_device_options {
    const char *directory;
    double seconds;      /* for each row */
    uint64_t file_bytes; /* of the file that the rows overwrite, multiple of 4 MiB */
};

#define BENCH_DEVICE_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .seconds = 1.0, .file_bytes = (uint64_t)256 << 20                                          \
    }

#define BENCH_DEVICE_ROWS_MAX 24

struct bench_device_row {
    char name[48];  /* "overwrite-4k", ... */
    char title[80]; /* for people */
    double per_s;   /* operations; for the leader rows, records */
    double bytes_per_s;
    double p50_us; /* of one operation; 0 where none was measured */
    double p99_us;
    double p999_us;
};

struct bench_device_result {
    unsigned count;
    bool interrupted;
    struct bench_device_row rows[BENCH_DEVICE_ROWS_MAX];
    char error[400];
};

/* The raw loops that everything is compared with. Returns 0 or -errno. */
int bench_device(const struct bench_device_options *options,
                 struct bench_device_result *ret_result);

struct bench_scan_options {
    const char *directory;
    size_t size_min;
    size_t size_max;
    uint64_t records;
    bool one_per_group; /* each record a group of its own */
    int batch;          /* for weir_cursor_next_batch; 1 uses weir_cursor_next */
    double seconds;     /* how long verified records are scanned, again and again */
    enum weir_medium_kind medium;
    uint64_t segment_bytes;
    bool emulated_pmem;
};

#define BENCH_SCAN_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .size_min = 100, .size_max = 100, .records = 2000000, .batch = 64, .seconds = 1.0          \
    }

struct bench_scan_result {
    uint64_t records;
    uint64_t bytes; /* payload */
    double setup_s; /* filling the log and reading its files into the page cache */
    double open_s;
    double first_per_s; /* records, the first pass behind an open: every byte is verified */
    double first_bytes_per_s;
    double verified_per_s; /* records, the median of the later passes */
    double verified_bytes_per_s;
    unsigned passes;
    bool durable;
    bool emulated;
    bool interrupted;
    char medium[16];
    char io[16];
    char error[400];
};

/* Fills a fresh log, reopens it and reads it with a cursor. Returns 0 or a negative error. */
int bench_scan(const struct bench_scan_options *options, struct bench_scan_result *ret_result);

struct bench_recover_options {
    const char *directory;
    uint64_t bytes; /* how long the log becomes, padding included */
    size_t size_min;
    size_t size_max;
    unsigned rounds; /* each measures every row once, in turns; odd */
    bool cold;       /* drop the files from the page cache before each row, else read them in */
    enum weir_medium_kind medium;
    enum weir_io_kind io;
    uint64_t segment_bytes;
    bool emulated_pmem;
};

#define BENCH_RECOVER_OPTIONS_INIT                                                                 \
    {                                                                                              \
        .bytes = (uint64_t)1 << 30, .size_min = 100, .size_max = 100, .rounds = 3                  \
    }

#define BENCH_RECOVER_ROWS_MAX 16

/* Medians over the rounds. */
struct bench_recover_row {
    char name[32];  /* "open-all" */
    char title[80]; /* for people */
    double seconds;
    double cpu_s;
    double scan_s, repair_s; /* parts of an open, else 0 */
    uint64_t bytes;          /* read */
    uint64_t records;        /* checked; 0 for a raw read */
    double bytes_per_s;      /* of an open: of its scan */
    double records_per_s;
    double ratio;     /* of bytes_per_s to the fastest raw read that it is held against; else 0 */
    char against[16]; /* "direct" or "cached": what the raw reads went through */
};

struct bench_recover_result {
    unsigned count;
    struct bench_recover_row rows[BENCH_RECOVER_ROWS_MAX];
    uint64_t log_bytes, records, segments; /* what the writer left behind */
    double setup_s;                        /* writing it */
    bool durable;
    bool emulated;
    bool interrupted;
    char medium[16];
    char io[16];
    char error[400];
};

/* Writes a log, kills its writer, and opens, verifies and reads what is left, beside raw reads of
 * the same files. Forks: call it without other threads. Returns 0 or a negative error. */
int bench_recover(const struct bench_recover_options *options,
                  struct bench_recover_result *ret_result);

#endif
