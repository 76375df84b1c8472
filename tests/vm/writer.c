/* A process that writes a log, or puts into an engine, and keeps promises on the same disk.
 *
 *     vm_writer DISK OFFSET LOG log|engine MEDIUM IO each|group|lie RECORDS SEED
 *
 * Threads append until RECORDS are acknowledged, or the power goes; then the process kills itself,
 * so that the next one recovers. `each` waits for each record; `group` appends several and waits
 * for the last; `lie` promises what it has not waited for, and must be found out by the judge.
 * Beside that: batches, truncation of the log; deletes, checkpoints of the engine.
 */
#include "tests/engine/oracle.h"
#include "tests/vm/promise.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_MOST 4u
#define KEEP_RECORDS 400u /* a truncation leaves that many */

static struct promises promises;
static struct oracle keys;
static struct weir_log *the_log;
static struct weir_engine *engine; /* NULL: the log alone */
static unsigned run;
static enum { EACH, GROUP, LIE } manner;
static uint64_t seed;
static atomic_uint_fast64_t left;

static void check(int rc, const char *what)
{
    if (rc < 0) {
        printf("%s: %s\n", what, weir_error_name(rc));
        exit(1);
    }
}

static enum weir_durability durability(void)
{
    return manner == EACH ? WEIR_EACH : manner == GROUP ? WEIR_GROUP : WEIR_NONE;
}

/* One record, or several as a batch. Returns the LSN of the last. */
static weir_lsn append(unsigned thread, uint32_t number, size_t count)
{
    static _Thread_local uint8_t bytes[BATCH_MOST][RECORD_MOST];
    struct weir_part parts[BATCH_MOST];
    struct weir_entry entries[BATCH_MOST] = {0};
    weir_lsn first = 0;
    for (size_t i = 0; i < count; i++) {
        struct origin origin = {run, thread, number + (uint32_t)i};
        parts[i] = (struct weir_part){bytes[i], vm_record_make(origin, bytes[i])};
        entries[i] = (struct weir_entry){.parts = &parts[i], .part_count = 1};
    }
    check(weir_append_batch(the_log, entries, count, durability(), &first), "append");
    return first + count - 1;
}

static weir_lsn put(unsigned thread, uint32_t number, struct base_prng *prng)
{
    uint8_t bytes[RECORD_MOST];
    struct weir_bytes value = {bytes, vm_record_make((struct origin){run, thread, number}, bytes)};
    struct weir_bytes key = oracle_key(&keys, (uint32_t)base_prng_below(prng, keys.key_count));
    weir_lsn lsn = 0;
    if (base_prng_below(prng, 6) == 0) {
        int rc = weir_delete(engine, WEIR_TABLE_DEFAULT, key, durability(), NULL);
        check(rc == -ENOENT ? 0 : rc, "delete");
    }
    check(weir_put(engine, WEIR_TABLE_DEFAULT, key, value, durability(), &lsn), "put");
    return lsn;
}

static void keep(unsigned thread, uint32_t number, weir_lsn lsn)
{
    struct promise *promise = &promises.of[run][thread];
    if (manner == GROUP) {
        check(weir_wait(the_log, lsn, WEIR_WAIT_FOREVER), "wait");
    }
    promise->number = number;
    promise->lsn = lsn;
    promise_keep(&promises, run, thread);
}

/* Only thread 0. What may go is promised first. */
static void make_room(weir_lsn lsn)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct promise *promise = &promises.of[run][0];
    if (engine != NULL) {
        check(weir_engine_checkpoint(engine, NULL, &why), "checkpoint");
    } else if (lsn > KEEP_RECORDS) {
        promise->truncated = lsn - KEEP_RECORDS;
        promise_keep(&promises, run, 0);
        check(weir_truncate_before(the_log, lsn - KEEP_RECORDS, &why), "truncate");
    }
}

static void *write_records(void *argument)
{
    unsigned thread = (unsigned)(uintptr_t)argument;
    struct base_prng prng;
    base_prng_seed(&prng, seed * 1000 + run * PROMISE_THREADS + thread);
    uint32_t number = 0;
    for (;;) {
        size_t count = base_prng_below(&prng, 4) == 0 ? 1 + base_prng_below(&prng, BATCH_MOST) : 1;
        weir_lsn lsn = 0;
        if (engine != NULL || manner == GROUP) {
            for (size_t i = 0; i < count; i++) {
                number++;
                lsn = engine != NULL ? put(thread, number, &prng) : append(thread, number, 1);
            }
        } else {
            lsn = append(thread, number + 1, count);
            number += (uint32_t)count;
        }
        keep(thread, number, lsn);
        if (thread == 0 && base_prng_below(&prng, 60) == 0) {
            make_room(lsn);
        }
        if (atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed) <= 1) {
            kill(getpid(), SIGKILL);
        }
    }
    return NULL;
}

static void open_log(char **argv)
{
    static const char *const media[] = {"auto", "pmem", "direct", "mapped"};
    static const char *const ios[] = {"auto", "uring", "sync"};
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    options.flags = WEIR_LOG_CREATE;
    options.segment_bytes = WEIR_SEGMENT_BYTES_MIN; /* many of them */
    for (unsigned i = 0; i < 4; i++) {
        options.medium = strcmp(argv[5], media[i]) == 0 ? (enum weir_medium_kind)i : options.medium;
    }
    for (unsigned i = 0; i < 3; i++) {
        options.io = strcmp(argv[6], ios[i]) == 0 ? (enum weir_io_kind)i : options.io;
    }
    int rc = weir_log_open(argv[3], &options, &the_log, &why);
    if (rc == 0 && strcmp(argv[4], "engine") == 0) {
        rc = weir_engine_open(the_log, NULL, &engine, &why);
    }
    if (rc < 0) {
        printf("open: %s: %s\n", weir_error_name(rc), why.text);
        exit(1);
    }
    struct weir_open_report report = WEIR_OPEN_REPORT_INIT;
    check(weir_log_report(the_log, &report), "report");
    printf("run %u: medium=%s io=%s durable=%d latest=%" PRIu64 " cut=%" PRIu64 "\n", run,
           report.medium.name, report.medium.io, report.medium.durable, report.latest,
           report.cut_records);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 10 || !promises_open(&promises, argv[1], strtoull(argv[2], NULL, 0), true)) {
        fprintf(stderr, "usage: see the file\n");
        return 2;
    }
    struct base_prng prng;
    seed = strtoull(argv[9], NULL, 0);
    base_prng_seed(&prng, seed);
    oracle_begin(&keys, &prng);
    run = promises_runs(&promises);
    if (run == PROMISE_RUNS) {
        return 3;
    }
    manner = strcmp(argv[7], "each") == 0 ? EACH : strcmp(argv[7], "group") == 0 ? GROUP : LIE;
    atomic_init(&left, 1 + base_prng_below(&prng, 2 * strtoull(argv[8], NULL, 0)));
    open_log(argv);
    for (unsigned thread = 0; thread < PROMISE_THREADS; thread++) {
        promises.of[run][thread].opened = 1;
        promise_keep(&promises, run, thread);
    }
    pthread_t threads[PROMISE_THREADS];
    for (uintptr_t thread = 0; thread < PROMISE_THREADS; thread++) {
        if (pthread_create(&threads[thread], NULL, write_records, (void *)thread) != 0) {
            return 1;
        }
    }
    pthread_join(threads[0], NULL);
    return 1; /* not reached: the process kills itself */
}
