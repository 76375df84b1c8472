/*
 * What a benchmark of stores does: a plan (from the command line), cases, and for each case and
 * store one question a round, answered by a process of the store's own.
 */
#ifndef BENCH_KV_PLAN_H
#define BENCH_KV_PLAN_H

#include "bench/kv/chase.h"
#include "bench/kv/key.h"
#include "bench/kv/store.h"
#include "bench/payload.h"

#define KV_LIST_MAX 8u
#define KV_CASES_MAX 16u
#define KV_STORES_MAX 8u
#define KV_ROUNDS_MAX 31u
#define KV_THREADS_MAX 1024u

struct kv_list {
    unsigned count;
    uint64_t values[KV_LIST_MAX];
};

struct kv_plan {
    const char *directory;
    uint64_t records; /* put while filling, or at most in a run */
    size_t size_min;  /* bytes of a value */
    size_t size_max;
    enum bench_key_kind key_kind;
    struct kv_list orders;  /* 0: random, 1: ascending */
    struct kv_list writers; /* for puts */
    struct kv_list threads; /* for gets, rebuilds */
    struct kv_list batches; /* gets at once */
    struct kv_list ratios;  /* percent of reads in a mixed load */
    struct kv_list plot;    /* records of a log, in millions */
    enum weir_durability durability;
    enum weir_medium_kind medium;
    enum weir_io_kind io;
    uint64_t segment_bytes;
    bool emulated_pmem;
    double seconds; /* how long each measurement takes, where time ends it */
    unsigned rounds;
    unsigned store_count; /* Weir first */
    const struct kv_ops *stores[KV_STORES_MAX];
    char peers[128]; /* as they were asked for */
    bool no_warm_up; /* gets: not every key is asked for before the clock */
    bool json, force;
};

enum kv_action {
    KV_PUT = 1, /* into a fresh store */
    KV_FILL,    /* a fresh store, which stays open for what follows */
    KV_GET,     /* random keys, all of them there */
    KV_SCAN,    /* all rows in order */
    KV_MIXED,   /* gets and puts of keys that are there */
    KV_MEMORY,  /* what the process of a filled store takes */
    KV_OPEN,    /* what a crash has left; and the first get */
};

struct kv_case {
    char title[56];
    enum kv_action action;
    unsigned threads; /* writers of puts, readers of gets, both of a mixed load, rebuilders */
    unsigned batch;   /* gets at once */
    bool ascending;
    bool durable; /* each put */
    uint64_t records;
    unsigned update_percent, delete_percent; /* of the records, while filling */
    unsigned read_percent;                   /* of a mixed load */
    bool checkpoint;    /* of a fill: make one when all but the last hundredth, or 10000, is put */
    bool no_checkpoint; /* of an open: do not use it */
    bool cold;          /* files are dropped from the page cache before */
    bool read_mode;     /* of a fill: it will be read */
    bool gets_all;      /* of a fill: get every key once, too */
    bool dies;          /* the process is killed with SIGKILL behind its answer */
    const char *goal_store; /* whose ratio has a goal, or NULL */
    double goal;
    bool beside_one; /* Weir's row says what it is beside that of the first case, one thread's */
    double beside_goal;
};

/* Crosses a pipe: no pointers. Times are seconds. */
struct kv_outcome {
    int rc;
    char error[KV_TEXT_MAX];
    bool measured;
    uint64_t operations;
    uint64_t bytes; /* of keys and values */
    double seconds; /* of the clock, or of one thread's part of it */
    double per_s;   /* of all threads */
    double ns;      /* of one operation, in one thread */
    double cpu_ns;  /* the same of the CPU: what others on the machine distort least; 0: unknown */
    double stolen;  /* by the host while it was measured, a share: see bench/stolen.h */
    double setup_s;
    uint64_t reads, writes;         /* whose latency was measured */
    double read_us[3], write_us[3]; /* p50, p99, p99.9 */
    double open_s, first_get_s;     /* from the beginning, each */
    uint64_t anonymous_bytes, log_keys;
    struct kv_facts facts;
};

/* In the store's own process. */
struct kv_session {
    const struct kv_plan *plan;
    const struct kv_ops *ops;
    const char *directory; /* exists */
    struct bench_payload payload;
    struct bench_keys keys;
    uint64_t present; /* keys 0..present-1 were put */
    void *store;      /* open when not NULL */
    uint64_t anonymous_before;
};

int kv_answer(struct kv_session *session, const struct kv_case *question,
              struct kv_outcome *ret_outcome);

/* ---- the parts of an answer ---- */

void kv_settings_fill(const struct kv_session *session, const struct kv_case *question,
                      struct kv_settings *ret_settings);
int kv_fill(struct kv_session *session, const struct kv_case *question, struct kv_outcome *outcome);
int kv_put(struct kv_session *session, const struct kv_case *question, struct kv_outcome *outcome);
/* Gets every key once, in the order in which they were put. */
int kv_get_all(struct kv_session *session);
int kv_get(struct kv_session *session, const struct kv_case *question, struct kv_outcome *outcome);
int kv_mixed(struct kv_session *session, const struct kv_case *question,
             struct kv_outcome *outcome);

/* ---- threads that begin together ---- */

/* CPU time so far, of this thread or of the process. */
uint64_t kv_thread_cpu_ns(void);
uint64_t kv_process_cpu_ns(void);

struct kv_gate;

/* Runs main(context, i) in `count` threads that wait for each other. Returns the first error of
 * one, else 0. */
int kv_together(unsigned count, int (*main)(void *context, unsigned index), void *context);

/* ---- the process ---- */

struct kv_child {
    const struct kv_plan *plan;
    const struct kv_ops *ops;
    char directory[512]; /* made */
    int pid;             /* 0: not running */
    int fd;
};

/* Asks the child, which is started when it does not run. A child that dies gives an outcome that
 * says so. */
void kv_child_ask(struct kv_child *child, const struct kv_case *question,
                  struct kv_outcome *ret_outcome);

/* Waits until it has closed its store and ended. */
void kv_child_end(struct kv_child *child);

/* ---- the contest ---- */

struct kv_contest {
    const struct kv_plan *plan;
    const char *name; /* of the subcommand */
    unsigned case_count;
    struct kv_case cases[KV_CASES_MAX];
    unsigned done; /* rounds, at least in part */
    bool failed;
    double setup_s;
    struct kv_chase chase;       /* of gets */
    struct kv_outcome *outcomes; /* [round][case][store] */
};

int kv_contest_create(struct kv_contest *contest, const char *name, const struct kv_plan *plan);
void kv_contest_destroy(struct kv_contest *contest);
struct kv_outcome *kv_contest_at(const struct kv_contest *contest, unsigned round, unsigned index,
                                 unsigned store);

/* A case to be filled in by the caller; NULL when there is no room. */
struct kv_case *kv_contest_add(struct kv_contest *contest);

/* Runs the cases from..from + count - 1 in turns: round by round, case by case, store by store.
 * @param fill  NULL, or what each store does first, outside of the clock
 * Returns 0 or a negative error that stopped everything. */
int kv_contest_run(struct kv_contest *contest, unsigned from, unsigned count,
                   const struct kv_case *fill);

/* ---- the report ---- */

double kv_median(const struct kv_contest *contest, unsigned index, unsigned store,
                 double (*value)(const struct kv_outcome *outcome));

/* A case of a store beside a case of the same action, of the same store or of another. */
struct kv_beside {
    unsigned index, store, other_index, other_store;
};

/* How much faster one is than the other in the same round: medians, NaN where there is none. */
struct kv_ratio {
    unsigned rounds, undisturbed_rounds;
    double all;
    double undisturbed; /* of the rounds in which the host took hardly any time from either */
    double by_cpu;
};

struct kv_ratio kv_ratio(const struct kv_contest *contest, const struct kv_beside *which);

/* Prints and returns the exit code. */
int kv_report(const struct kv_contest *contest);

#endif
