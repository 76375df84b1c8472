/*
 * One small life of a log on real files, as a single thread lives it: all calls of the interface,
 * a segment that fills up, a read-only handle beside the writer, a second opening.
 *
 *     struct scenario scenario;
 *     scenario_begin(&scenario, &SCENARIO_MEDIA[i]);
 *     fault_arm(&plan);
 *     scenario_run(&scenario);
 *     fault_disarm();
 *     scenario_check(&scenario);     nothing leaked; opened again, the log is as it must be
 *     scenario_end(&scenario);
 *
 * Each call of the log either succeeds, or fails while something was made to fail, or says that the
 * log is poisoned. Anything else is a violation.
 */
#ifndef TESTS_FAULT_SCENARIO_H
#define TESTS_FAULT_SCENARIO_H

#include "tests/fault/ledger.h"

struct scenario_medium {
    const char *name, *io;
    enum weir_medium_kind kind;
    enum weir_io_kind io_kind;
};

extern const struct scenario_medium SCENARIO_MEDIA[];
extern const unsigned SCENARIO_MEDIA_COUNT;

struct scenario_resources {
    uint64_t blocks, pages;
    unsigned descriptors, mappings;
};

struct scenario {
    const struct scenario_medium *medium;
    char directory[256];
    struct ledger ledger;
    struct weir_log *log;
    uint8_t uuid[16];
    unsigned strikes_seen;
    int64_t lock_wait_ns;
    bool poisoned; /* the handle said so */
    bool struck;   /* during the last call that was checked */
    struct scenario_resources before;
};

/* Why this medium cannot be had here; NULL when it can. */
const char *scenario_refusal(const struct scenario_medium *medium);

struct weir_log_options scenario_options(const struct scenario *scenario, uint32_t flags);

void scenario_begin(struct scenario *scenario, const struct scenario_medium *medium);
void scenario_run(struct scenario *scenario);
void scenario_check(struct scenario *scenario);
void scenario_end(struct scenario *scenario);

/* Reads all that `log` shows. Failures are allowed while calls are made to fail. */
void scenario_read(struct scenario *scenario, struct weir_log *log);

struct scenario_resources scenario_resources(const char *directory);

/* Where logs of these tests are made: memory if it takes direct I/O, else the test's directory. */
void scenario_make_directory(char *path, size_t size);

#endif
