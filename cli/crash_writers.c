/*
 * Appending and acknowledging.
 *
 * each:  an append is acknowledged when it has returned.
 * group: a batch of random size is appended, one wait follows, then all of it is acknowledged.
 * none:  batches are appended; what the log says is durable is acknowledged, and when half of
 *        PENDING_MAX is not, one wait makes it so.
 *
 * An acknowledgement always means durable, whatever the durability of the append: what `none` has
 * not made durable when the crash comes is promised to nobody.
 *
 * Failures: the first error of the log stops all writers; it is returned when they have ended.
 */
#include "cli/crash_writers.h"

#include "cli/crash_engine.h"

#include "base/alloc.h"
#include "base/random.h"
#include "base/thread.h"

#include <weir/append.h>
#include <weir/maintain.h>
#include <weir/write.h>

#include <errno.h>
#include <stdatomic.h>

#define BATCH_MAX 64u
#define PENDING_MAX 8192u    /* a power of two */
#define CHECKPOINT_EVERY 32u /* turns of the first writer */

struct team {
    const struct crash_writers *writers;
    struct weir_engine *engine; /* NULL: they append */
    _Atomic uint32_t stop;
    _Atomic int error; /* of the log, the first */
};

struct writer {
    struct team *team;
    unsigned index;
    uint32_t id;
    uint32_t number;       /* of the last record that was appended */
    uint32_t confirmed;    /* and of the last one that was acknowledged */
    struct base_prng prng; /* sizes of batches */
    weir_lsn *lsns;        /* of records not yet acknowledged, by number modulo PENDING_MAX */
    uint8_t *payload;
};

static weir_lsn *lsn_of(struct writer *writer, uint32_t number)
{
    return &writer->lsns[number & (PENDING_MAX - 1)];
}

static int append_next(struct writer *writer, enum weir_durability durability)
{
    const struct crash_writers *writers = writer->team->writers;
    struct crash_origin origin = {writer->id, ++writer->number};
    struct weir_part part = {.data = writer->payload};
    part.size = crash_record_make(origin, crash_referee_sizes(writers->referee), writer->payload);
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    crash_referee_try(writers->referee, writer->index, origin.number);
    if (writer->team->engine != NULL) {
        uint8_t key[CRASH_KEY_BYTES];
        crash_engine_key(origin, key);
        return weir_put(
            writer->team->engine, WEIR_TABLE_DEFAULT, (struct weir_bytes){key, sizeof key},
            (struct weir_bytes){part.data, part.size}, durability, lsn_of(writer, origin.number));
    }
    return weir_append(writers->log, &entry, durability, lsn_of(writer, origin.number));
}

/* Acknowledges what is durable of this writer's records. */
static void acknowledge(struct writer *writer, weir_lsn durable)
{
    const struct crash_writers *writers = writer->team->writers;
    while (writer->confirmed < writer->number &&
           *lsn_of(writer, writer->confirmed + 1) <= durable) {
        struct crash_origin origin = {writer->id, ++writer->confirmed};
        uint64_t count =
            crash_referee_acknowledge(writers->referee, *lsn_of(writer, origin.number), origin);
        writers->acknowledged(writers->context, count);
    }
}

static int wait_for_all(struct writer *writer)
{
    weir_lsn last = *lsn_of(writer, writer->number);
    int rc = weir_wait(writer->team->writers->log, last, WEIR_WAIT_FOREVER);
    if (rc == 0) {
        acknowledge(writer, last);
    }
    return rc;
}

static int append_batch(struct writer *writer, enum weir_durability durability)
{
    int rc = 0;
    uint64_t count = 1 + base_prng_below(&writer->prng, BATCH_MAX);
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        rc = append_next(writer, durability);
    }
    return rc;
}

/* One turn of the writer's loop. */
static int turn(struct writer *writer)
{
    const struct crash_writers *writers = writer->team->writers;
    int rc;
    switch (writers->durability) {
    case WEIR_EACH:
        rc = append_next(writer, WEIR_EACH);
        if (rc == 0) {
            acknowledge(writer, *lsn_of(writer, writer->number));
        }
        return rc;
    case WEIR_GROUP:
        rc = append_batch(writer, WEIR_GROUP);
        return rc < 0 ? rc : wait_for_all(writer);
    case WEIR_NONE:
    default:
        rc = append_batch(writer, WEIR_NONE);
        if (rc < 0) {
            return rc;
        }
        acknowledge(writer, weir_durable_lsn(writers->log));
        bool many = writer->number - writer->confirmed > PENDING_MAX / 2;
        return many ? wait_for_all(writer) : 0;
    }
}

/* What a checkpoint fails with is the log's error, which the next put finds as well. */
static void make_checkpoint(const struct writer *writer, uint32_t turns)
{
    const struct team *team = writer->team;
    if (team->engine != NULL && team->writers->checkpoints && writer->index == 0 &&
        turns % CHECKPOINT_EVERY == CHECKPOINT_EVERY / 2) {
        (void)weir_engine_checkpoint(team->engine, NULL, NULL);
    }
}

static void writer_main(void *context)
{
    struct writer *writer = context;
    struct team *team = writer->team;
    struct crash_referee *referee = team->writers->referee;
    int rc = 0;
    for (uint32_t turns = 1; rc == 0 && atomic_load(&team->stop) == 0 &&
                             !crash_referee_is_full(referee) && !crash_referee_is_cut(referee);
         turns++) {
        rc = turn(writer);
        make_checkpoint(writer, turns);
    }
    if (rc < 0) {
        int none = 0;
        (void)atomic_compare_exchange_strong(&team->error, &none, rc);
        atomic_store(&team->stop, 1);
    }
}

static int prepare(struct writer *writer, struct team *team, unsigned index)
{
    const struct crash_writers *writers = team->writers;
    *writer = (struct writer){.team = team, .index = index};
    writer->id = crash_referee_writer(writers->referee, index);
    base_prng_seed(&writer->prng, writers->seed + writer->id);
    writer->lsns = base_alloc_array(PENDING_MAX, sizeof writer->lsns[0]);
    writer->payload = base_alloc(crash_referee_sizes(writers->referee)->max);
    return writer->lsns != NULL && writer->payload != NULL ? 0 : -ENOMEM;
}

static int run_team(struct team *team)
{
    const struct crash_writers *writers = team->writers;
    struct writer *all = base_alloc_array(writers->count, sizeof all[0]);
    struct base_thread *threads = base_alloc_array(writers->count, sizeof threads[0]);
    int rc = all != NULL && threads != NULL ? 0 : -ENOMEM;
    for (unsigned i = 0; rc == 0 && i < writers->count; i++) {
        rc = prepare(&all[i], team, i);
    }
    unsigned started = 0;
    while (rc == 0 && started < writers->count) {
        rc = base_thread_start(&threads[started], "writer", writer_main, &all[started]);
        started += rc == 0;
    }
    if (rc < 0) {
        atomic_store(&team->stop, 1);
    }
    for (unsigned i = 0; i < started; i++) {
        base_thread_join(&threads[i]);
    }
    for (unsigned i = 0; all != NULL && i < writers->count; i++) {
        base_free(all[i].lsns);
        base_free(all[i].payload);
    }
    base_free(all);
    base_free(threads);
    return rc < 0 ? rc : atomic_load(&team->error);
}

int crash_writers_run(const struct crash_writers *writers)
{
    struct team team = {.writers = writers};
    struct weir_engine_options options = crash_engine_options(0);
    int rc = writers->engine ? weir_engine_open(writers->log, &options, &team.engine, NULL) : 0;
    rc = rc < 0 ? rc : run_team(&team);
    (void)weir_engine_close(team.engine); /* what it could fail with is the log's error */
    return rc;
}
