/*
 * Filling a store, and putting against the clock.
 *
 * A fill is a function of the question: record i is an insert, an update of a key that is there, or
 * a delete of one, decided by a hash of i, so that all stores get the same.
 *
 * A timed put has its keys made before the clock starts, and one record stored. Durable ones are
 * timed one by one and end with the time or the records; others end with the records, and one sync
 * inside the clock.
 */
#include "bench/kv/plan.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "bench/kv/latency.h"
#include "bench/stolen.h"
#include "bench/workdir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PAIRS 256u
#define TAIL_MAX 10000u /* records behind a checkpoint */
#define FRAME_BYTES 64u /* of a record beside key and value, generously */

/* What durable puts take of the log, generously: each flush a block of 4 KiB. */
#define BLOCKS_PER_S 12000.0
#define BLOCK_BYTES 4096.0
#define DURABLE_PUTS_PER_S 400000.0

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

void kv_settings_fill(const struct kv_session *session, const struct kv_case *question,
                      struct kv_settings *ret_settings)
{
    const struct kv_plan *plan = session->plan;
    memset(ret_settings, 0, sizeof *ret_settings);
    (void)snprintf(ret_settings->directory, sizeof ret_settings->directory, "%s",
                   session->directory);
    ret_settings->durable = question->durable;
    ret_settings->mixed = question->read_percent > 0;
    ret_settings->read_mode = question->read_mode;
    ret_settings->ascending = question->ascending;
    ret_settings->no_checkpoint = question->no_checkpoint;
    ret_settings->threads = question->action == KV_OPEN ? question->threads : 0;
    ret_settings->medium = plan->medium;
    ret_settings->io = plan->io;
    ret_settings->segment_bytes = plan->segment_bytes;
    ret_settings->emulated_pmem = plan->emulated_pmem;
    uint64_t record = session->keys.size + plan->size_max + FRAME_BYTES;
    /* A fill is outside of the clock, and windows made ahead of it would count as its memory. */
    ret_settings->log_bytes = question->action == KV_PUT ? question->records * record : 0;
    if (question->action == KV_PUT && question->durable) {
        double blocks = BLOCKS_PER_S * BLOCK_BYTES * plan->seconds;
        double puts = DURABLE_PUTS_PER_S * plan->seconds * (double)record;
        double all = (double)question->records * (BLOCK_BYTES + (double)record);
        ret_settings->log_bytes = (uint64_t)(blocks + puts < all ? blocks + puts : all);
    }
}

/* ---- filling ---- */

struct filler {
    struct kv_session *session;
    void *writer;
    unsigned count;
    struct kv_pair pairs[PAIRS];
    uint8_t bytes[PAIRS][BENCH_KEY_BYTES_MAX];
};

static int flush_pairs(struct filler *filler)
{
    unsigned count = filler->count;
    filler->count = 0;
    return count > 0 ? filler->session->ops->put(filler->writer, filler->pairs, count, false) : 0;
}

static int put_number(struct filler *filler, uint64_t number, uint64_t version)
{
    struct kv_session *session = filler->session;
    const struct weir_part *value = bench_payload_at(&session->payload, number + version);
    uint8_t *key = filler->bytes[filler->count];
    bench_key_make(&session->keys, number, key);
    filler->pairs[filler->count++] =
        (struct kv_pair){{key, session->keys.size}, {value->data, value->size}};
    return filler->count == PAIRS ? flush_pairs(filler) : 0;
}

static int remove_number(struct filler *filler, uint64_t number)
{
    uint8_t key[BENCH_KEY_BYTES_MAX];
    bench_key_make(&filler->session->keys, number, key);
    int rc = flush_pairs(filler);
    return rc < 0 ? rc
                  : filler->session->ops->remove(
                        filler->writer, (struct weir_bytes){key, filler->session->keys.size});
}

static int fill_one(struct filler *filler, const struct kv_case *question, uint64_t index)
{
    struct kv_session *session = filler->session;
    uint64_t dice = bench_mix(index ^ UINT64_C(0x5eed)) % 100;
    uint64_t old = session->present > 0 ? bench_mix(~index) % session->present : 0;
    if (session->present > 1 && dice < question->delete_percent && old > 0) {
        return remove_number(filler, old); /* key 0 stays: it is what an open gets first */
    }
    if (session->present > 1 && dice < question->delete_percent + question->update_percent) {
        return put_number(filler, old, index);
    }
    return put_number(filler, session->present++, 0);
}

static int fill_range(struct filler *filler, const struct kv_case *question, uint64_t from,
                      uint64_t to)
{
    int rc = 0;
    for (uint64_t index = from; rc == 0 && index < to; index++) {
        rc = bench_interrupted() ? -EINTR : fill_one(filler, question, index);
    }
    rc = rc < 0 ? rc : flush_pairs(filler);
    return rc < 0 ? rc : filler->session->ops->sync(filler->writer);
}

static int fill_store(struct kv_session *session, const struct kv_case *question)
{
    struct filler *filler = base_alloc_zero(sizeof *filler);
    if (filler == NULL) {
        return -ENOMEM;
    }
    const struct kv_ops *ops = session->ops;
    bool checkpoint = question->checkpoint && ops->checkpoint != NULL;
    uint64_t tail = question->records / 100 < TAIL_MAX ? question->records / 100 : TAIL_MAX;
    uint64_t first = question->records - (checkpoint ? tail : 0);
    filler->session = session;
    int rc = ops->writer_open(session->store, &filler->writer);
    if (rc == 0) {
        rc = fill_range(filler, question, 0, first);
        rc = rc < 0 || !checkpoint ? rc : ops->checkpoint(session->store);
        rc = rc < 0 ? rc : fill_range(filler, question, first, question->records);
        ops->writer_close(filler->writer);
    }
    base_free(filler);
    return rc;
}

int kv_fill(struct kv_session *session, const struct kv_case *question, struct kv_outcome *outcome)
{
    struct kv_settings settings;
    uint64_t start_ns = base_clock_monotonic_ns();
    bench_keys_init(&session->keys, session->plan->key_kind, question->ascending,
                    question->records);
    session->present = 0;
    kv_settings_fill(session, question, &settings);
    int rc = session->ops->open(&settings, true, &session->store);
    if (rc < 0) {
        session->store = NULL;
        return rc;
    }
    rc = fill_store(session, question);
    if (rc == 0 && question->read_mode) {
        rc = session->ops->settle != NULL ? session->ops->settle(session->store) : 0;
        rc = rc < 0 ? rc : bench_warm(session->directory);
        rc = rc == 0 && question->gets_all ? kv_get_all(session) : rc;
    }
    outcome->operations = question->records;
    outcome->setup_s = seconds_since(start_ns);
    return rc;
}

/* ---- putting ---- */

struct putter {
    void *handle;
    uint64_t from, to, done;
    struct base_histogram latency;
};

struct put_run {
    struct kv_session *session;
    const struct kv_case *question;
    uint8_t *keys; /* of all records, in the order in which they are put */
    struct putter *putters;
    uint64_t end_ns;
};

static void make_pair(const struct put_run *run, uint64_t number, struct kv_pair *ret_pair)
{
    const struct kv_session *session = run->session;
    const struct weir_part *value = bench_payload_at(&session->payload, number);
    size_t size = session->keys.size;
    ret_pair->key = (struct weir_bytes){run->keys + number * size, size};
    ret_pair->value = (struct weir_bytes){value->data, value->size};
}

static int put_durable(struct put_run *run, struct putter *putter)
{
    int rc = 0;
    uint64_t now_ns = base_clock_monotonic_ns();
    while (rc == 0 && now_ns < run->end_ns && putter->from + putter->done < putter->to) {
        struct kv_pair pair;
        make_pair(run, putter->from + putter->done, &pair);
        rc = run->session->ops->put(putter->handle, &pair, 1, true);
        uint64_t end_ns = base_clock_monotonic_ns();
        base_histogram_record(&putter->latency, end_ns - now_ns);
        now_ns = end_ns;
        putter->done++;
    }
    return rc;
}

static int put_fast(struct put_run *run, struct putter *putter)
{
    struct kv_pair pairs[PAIRS];
    int rc = 0;
    while (rc == 0 && putter->from + putter->done < putter->to && !bench_interrupted()) {
        uint64_t left = putter->to - putter->from - putter->done;
        unsigned count = left < PAIRS ? (unsigned)left : PAIRS;
        for (unsigned index = 0; index < count; index++) {
            make_pair(run, putter->from + putter->done + index, &pairs[index]);
        }
        rc = run->session->ops->put(putter->handle, pairs, count, false);
        putter->done += count;
    }
    return rc;
}

static int put_main(void *context, unsigned index)
{
    struct put_run *run = context;
    struct putter *putter = &run->putters[index];
    int rc = run->question->durable ? put_durable(run, putter) : put_fast(run, putter);
    return rc < 0 ? rc : run->session->ops->sync(putter->handle);
}

static int open_putters(struct put_run *run)
{
    const struct kv_case *question = run->question;
    unsigned count = question->threads;
    for (unsigned index = 0; index < count; index++) {
        struct putter *putter = &run->putters[index];
        putter->from = question->records / count * index;
        putter->to =
            index + 1 == count ? question->records : question->records / count * (index + 1);
        base_histogram_reset(&putter->latency);
        int rc = run->session->ops->writer_open(run->session->store, &putter->handle);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

void kv_take_latency(const struct base_histogram *latency, uint64_t *ret_count, double ret_us[3])
{
    static const double percents[] = {50.0, 99.0, 99.9};
    *ret_count = base_histogram_count(latency);
    for (unsigned index = 0; index < 3; index++) {
        ret_us[index] = (double)base_histogram_percentile(latency, percents[index]) / 1e3;
    }
}

static void sum_up_puts(struct put_run *run, struct kv_outcome *outcome)
{
    struct base_histogram *latency = &run->putters[0].latency;
    for (unsigned index = 0; index < run->question->threads; index++) {
        outcome->operations += run->putters[index].done;
        if (index > 0) {
            base_histogram_merge(latency, &run->putters[index].latency);
        }
    }
    kv_take_latency(latency, &outcome->writes, outcome->write_us);
    outcome->per_s = (double)outcome->operations / outcome->seconds;
    outcome->ns = 1e9 * (double)run->question->threads / outcome->per_s;
    outcome->bytes = bench_payload_bytes(&run->session->payload, 0, outcome->operations) +
                     outcome->operations * run->session->keys.size;
}

/* With its first record a store makes what it makes once: Weir's engine its hold, and a segment's
 * file in which it can compact when the disk is full. Files are made before the clock. */
static int put_first(struct put_run *run)
{
    struct kv_pair pair;
    make_pair(run, 0, &pair);
    return run->session->ops->put(run->putters[0].handle, &pair, 1, true);
}

static int put_all(struct put_run *run, struct kv_outcome *outcome)
{
    struct kv_session *session = run->session;
    int rc = open_putters(run);
    rc = rc < 0 ? rc : put_first(run);
    if (rc == 0) {
        struct bench_stolen stolen;
        bench_stolen_begin(&stolen);
        uint64_t start_cpu_ns = kv_process_cpu_ns();
        uint64_t start_ns = base_clock_monotonic_ns();
        run->end_ns = start_ns + (uint64_t)(session->plan->seconds * (double)BASE_NS_PER_S);
        rc = kv_together(run->question->threads, put_main, run);
        outcome->seconds = seconds_since(start_ns);
        double cpu_ns = (double)(kv_process_cpu_ns() - start_cpu_ns);
        outcome->stolen = bench_stolen_share(&stolen);
        sum_up_puts(run, outcome);
        outcome->cpu_ns = cpu_ns / (double)(outcome->operations + 1);
    }
    for (unsigned index = 0; index < run->question->threads; index++) {
        if (run->putters[index].handle != NULL) {
            session->ops->writer_close(run->putters[index].handle);
        }
    }
    return rc;
}

/* Into a store below the session's directory that is removed afterwards. */
int kv_put(struct kv_session *session, const struct kv_case *question, struct kv_outcome *outcome)
{
    struct put_run run = {.session = session, .question = question};
    struct bench_workdir workdir;
    struct kv_settings settings;
    uint64_t start_ns = base_clock_monotonic_ns();
    bench_keys_init(&session->keys, session->plan->key_kind, question->ascending,
                    question->records);
    run.putters = base_alloc_array(question->threads, sizeof *run.putters);
    run.keys = base_alloc_array(question->records, session->keys.size);
    int rc = run.putters != NULL && run.keys != NULL
                 ? bench_workdir_create(&workdir, session->directory)
                 : -ENOMEM;
    if (rc == 0) {
        for (uint64_t number = 0; number < question->records; number++) {
            bench_key_make(&session->keys, number, run.keys + number * session->keys.size);
        }
        kv_settings_fill(session, question, &settings);
        (void)snprintf(settings.directory, sizeof settings.directory, "%.*s",
                       (int)sizeof settings.directory - 1, workdir.path);
        rc = session->ops->open(&settings, true, &session->store);
        outcome->setup_s = seconds_since(start_ns);
        if (rc == 0) {
            rc = put_all(&run, outcome);
            if (session->ops->facts != NULL) {
                session->ops->facts(session->store, &outcome->facts);
            }
            session->ops->close(session->store);
        }
        session->store = NULL;
        bench_workdir_remove(&workdir);
    }
    base_free(run.keys);
    base_free(run.putters);
    return rc;
}
