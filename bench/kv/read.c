/*
 * Reading against the clock: random gets, and gets and puts mixed.
 *
 * Keys of gets are made a block at a time, outside of the clock; each thread has a clock of its own
 * that runs only while the store works. In a mixed load every operation is timed by itself.
 */
#include "bench/kv/plan.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/random.h"
#include "bench/kv/latency.h"
#include "bench/stolen.h"
#include "bench/workdir.h"

#include <errno.h>

#define BLOCK 4096u

struct getter {
    void *handle;
    struct base_prng random;
    struct kv_tally tally;
    uint64_t busy_ns, cpu_ns;
    struct weir_bytes keys[BLOCK];
    uint8_t bytes[BLOCK][BENCH_KEY_BYTES_MAX];
};

struct get_run {
    struct kv_session *session;
    const struct kv_case *question;
    struct getter *getters;
};

static void make_block(const struct kv_session *session, struct getter *getter)
{
    for (unsigned index = 0; index < BLOCK; index++) {
        bench_key_make(&session->keys, base_prng_below(&getter->random, session->present),
                       getter->bytes[index]);
        getter->keys[index] = (struct weir_bytes){getter->bytes[index], session->keys.size};
    }
}

int kv_get_all(struct kv_session *session)
{
    struct getter *getter = base_alloc_zero(sizeof *getter);
    if (getter == NULL) {
        return -ENOMEM;
    }
    int rc = session->ops->reader_open(session->store, &getter->handle);
    for (uint64_t number = 0; rc == 0 && number < session->present && !bench_interrupted();) {
        unsigned count = 0;
        for (; count < BLOCK && number < session->present; count++, number++) {
            bench_key_make(&session->keys, number, getter->bytes[count]);
            getter->keys[count] = (struct weir_bytes){getter->bytes[count], session->keys.size};
        }
        rc = session->ops->get(getter->handle, getter->keys, count, &getter->tally);
    }
    if (getter->handle != NULL) {
        session->ops->reader_close(getter->handle);
    }
    base_free(getter);
    return rc;
}

/* A store that cannot be asked for many at once is asked for one after the other. */
static int get_block(const struct get_run *run, struct getter *getter)
{
    const struct kv_ops *ops = run->session->ops;
    unsigned batch = run->question->batch;
    return batch > 1 && ops->get_batch != NULL
               ? ops->get_batch(getter->handle, getter->keys, BLOCK, batch, &getter->tally)
               : ops->get(getter->handle, getter->keys, BLOCK, &getter->tally);
}

static int get_main(void *context, unsigned index)
{
    struct get_run *run = context;
    struct kv_session *session = run->session;
    struct getter *getter = &run->getters[index];
    uint64_t limit_ns = (uint64_t)(session->plan->seconds * (double)BASE_NS_PER_S);
    int rc = 0;
    while (rc == 0 && getter->busy_ns < limit_ns && !bench_interrupted()) {
        make_block(session, getter);
        uint64_t start_cpu_ns = kv_thread_cpu_ns();
        uint64_t start_ns = base_clock_monotonic_ns();
        rc = get_block(run, getter);
        getter->busy_ns += base_clock_monotonic_ns() - start_ns;
        getter->cpu_ns += kv_thread_cpu_ns() - start_cpu_ns;
    }
    return rc;
}

int kv_get(struct kv_session *session, const struct kv_case *question, struct kv_outcome *outcome)
{
    struct get_run run = {.session = session, .question = question};
    uint64_t cpu_ns = 0;
    int rc = 0;
    run.getters = base_alloc_array(question->threads, sizeof *run.getters);
    if (run.getters == NULL) {
        return -ENOMEM;
    }
    for (unsigned index = 0; rc == 0 && index < question->threads; index++) {
        base_prng_seed(&run.getters[index].random, base_clock_monotonic_ns() + index);
        rc = session->ops->reader_open(session->store, &run.getters[index].handle);
    }
    struct bench_stolen stolen;
    bench_stolen_begin(&stolen);
    rc = rc < 0 ? rc : kv_together(question->threads, get_main, &run);
    outcome->stolen = bench_stolen_share(&stolen);
    for (unsigned index = 0; index < question->threads; index++) {
        const struct getter *getter = &run.getters[index];
        double seconds = (double)(getter->busy_ns + 1) / (double)BASE_NS_PER_S;
        outcome->operations += getter->tally.rows;
        outcome->bytes += getter->tally.bytes + getter->tally.rows * session->keys.size;
        outcome->per_s += (double)getter->tally.rows / seconds;
        outcome->seconds = seconds;
        cpu_ns += getter->cpu_ns;
        if (getter->handle != NULL) {
            session->ops->reader_close(getter->handle);
        }
    }
    outcome->ns = 1e9 * (double)question->threads / outcome->per_s;
    outcome->cpu_ns = (double)cpu_ns / (double)(outcome->operations + 1);
    base_free(run.getters);
    return rc;
}

/* ---- mixed ---- */

struct mixer {
    void *reader, *writer;
    struct base_prng random;
    struct kv_tally tally;
    uint64_t bytes;
    struct base_histogram reads, writes;
};

struct mixed_run {
    struct kv_session *session;
    const struct kv_case *question;
    struct mixer *mixers;
    uint64_t end_ns;
};

static int mix_one(struct mixed_run *run, struct mixer *mixer, const struct kv_pair *pair,
                   bool reads)
{
    const struct kv_ops *ops = run->session->ops;
    if (!reads) {
        return ops->put(mixer->writer, pair, 1, run->question->durable);
    }
    int rc = ops->refresh(mixer->reader);
    return rc < 0 ? rc : ops->get(mixer->reader, &pair->key, 1, &mixer->tally);
}

static int mix_main(void *context, unsigned index)
{
    struct mixed_run *run = context;
    struct kv_session *session = run->session;
    struct mixer *mixer = &run->mixers[index];
    uint64_t now_ns = 0;
    int rc = 0;
    while (rc == 0 && now_ns < run->end_ns && !bench_interrupted()) {
        uint8_t key[BENCH_KEY_BYTES_MAX];
        uint64_t dice = base_prng_next(&mixer->random);
        const struct weir_part *value = bench_payload_at(&session->payload, dice >> 32);
        struct kv_pair pair = {{key, session->keys.size}, {value->data, value->size}};
        bool reads = dice % 100 < run->question->read_percent;
        bench_key_make(&session->keys, base_prng_below(&mixer->random, session->present), key);
        uint64_t start_ns = base_clock_monotonic_ns();
        rc = mix_one(run, mixer, &pair, reads);
        now_ns = base_clock_monotonic_ns();
        base_histogram_record(reads ? &mixer->reads : &mixer->writes, now_ns - start_ns);
        mixer->bytes += reads ? 0 : value->size + session->keys.size;
    }
    return rc < 0 ? rc : session->ops->sync(mixer->writer);
}

static int open_mixers(struct mixed_run *run)
{
    int rc = 0;
    for (unsigned index = 0; rc == 0 && index < run->question->threads; index++) {
        struct mixer *mixer = &run->mixers[index];
        base_histogram_reset(&mixer->reads);
        base_histogram_reset(&mixer->writes);
        base_prng_seed(&mixer->random, base_clock_monotonic_ns() + index);
        rc = run->session->ops->reader_open(run->session->store, &mixer->reader);
        rc = rc < 0 ? rc : run->session->ops->writer_open(run->session->store, &mixer->writer);
    }
    return rc;
}

static void close_mixers(struct mixed_run *run, struct kv_outcome *outcome)
{
    const struct kv_ops *ops = run->session->ops;
    for (unsigned index = 0; index < run->question->threads; index++) {
        struct mixer *mixer = &run->mixers[index];
        outcome->bytes += mixer->bytes + mixer->tally.bytes;
        if (mixer->reader != NULL) {
            ops->reader_close(mixer->reader);
        }
        if (mixer->writer != NULL) {
            ops->writer_close(mixer->writer);
        }
        if (index > 0) {
            base_histogram_merge(&run->mixers[0].reads, &mixer->reads);
            base_histogram_merge(&run->mixers[0].writes, &mixer->writes);
        }
    }
    kv_take_latency(&run->mixers[0].reads, &outcome->reads, outcome->read_us);
    kv_take_latency(&run->mixers[0].writes, &outcome->writes, outcome->write_us);
}

int kv_mixed(struct kv_session *session, const struct kv_case *question, struct kv_outcome *outcome)
{
    struct mixed_run run = {.session = session, .question = question};
    run.mixers = base_alloc_array(question->threads, sizeof *run.mixers);
    if (run.mixers == NULL) {
        return -ENOMEM;
    }
    int rc = open_mixers(&run);
    struct bench_stolen stolen;
    bench_stolen_begin(&stolen);
    uint64_t start_ns = base_clock_monotonic_ns();
    run.end_ns = start_ns + (uint64_t)(session->plan->seconds * (double)BASE_NS_PER_S);
    rc = rc < 0 ? rc : kv_together(question->threads, mix_main, &run);
    outcome->seconds = (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
    outcome->stolen = bench_stolen_share(&stolen);
    close_mixers(&run, outcome);
    outcome->operations = outcome->reads + outcome->writes;
    outcome->per_s = (double)outcome->operations / outcome->seconds;
    outcome->ns = 1e9 * (double)question->threads / outcome->per_s;
    base_free(run.mixers);
    return rc;
}
