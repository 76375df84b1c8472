/* What the files of a seeded run share: its plan, and the watch over one writer's calls.
 *
 * Internal to seeded*.c.
 */
#ifndef TESTS_CRASH_SEEDED_RUN_H
#define TESTS_CRASH_SEEDED_RUN_H

#include "tests/crash/seeded.h"
#include "tests/wal/torture.h"

#include "base/sync.h"
#include "sim/memory.h"

#define IMAGES_MAX 4u

/* What the power cut left, and what must be in it. */
struct image_of_crash {
    struct weir_medium *medium; /* keeps the disk */
    struct referee_facts facts;
};

enum trouble {
    TROUBLE_NONE,
    TROUBLE_FULL,       /* a small disk */
    TROUBLE_CALL_ONCE,  /* the n-th call fails */
    TROUBLE_CALL_STAYS, /* and all like it from then on */
    TROUBLE_LIES,       /* a write is reported as done, and is elsewhere, short or nowhere */
    TROUBLE_KINDS,
};

struct plan {
    const struct seeded_limits *limits;
    struct seeded_result *result;
    struct base_prng prng;
    struct base_prng chance; /* of completions */
    struct referee *referee;
    struct sim_memory_options disk;
    struct weir_log_options log;
    enum trouble trouble;
    unsigned lies_left;
    bool lied;
};

/* Watches the calls of one run: cuts the power at some of them, makes others fail. */
struct watch {
    struct plan *plan;
    struct weir_medium *medium;
    struct base_lock lock;
    struct base_prng prng;
    _Atomic uint64_t calls;
    uint64_t cut_at[IMAGES_MAX];
    struct image_of_crash images[IMAGES_MAX];
    unsigned image_count;
    _Atomic uint64_t fail_at;
    const char *fails; /* the call that failed first */
    bool dies;         /* at the first cut: all further calls fail */
    _Atomic bool dead;
    double keep;
    bool tears;
};

void watch_cut_power(struct watch *watch);

/* A writer (watched, where watch is not NULL) or a reader on the disk of `keeper`. */
int seeded_open(struct plan *plan, struct weir_medium *keeper, uint32_t flags, struct watch *watch,
                struct weir_log **ret_log, struct weir_error *why);
struct weir_medium *seeded_medium_on(struct plan *plan, struct weir_medium *keeper, bool read_only);

/* An answer that the run's trouble explains. */
bool seeded_tolerates(const struct plan *plan, int rc);

/* Everything that may happen between a power cut and the next writer, then what it finds. */
void seeded_judge(struct plan *plan, struct image_of_crash *image);

/* The same where the device has lied: refused, or right in all that it shows. */
void seeded_judge_lied(struct plan *plan, struct image_of_crash *image);

#endif
