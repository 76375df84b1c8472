/*
 * The workload of the torture tests, and the referee that knows what the log has promised.
 *
 * Happy path: each thread draws operations from its own generator, and notes after each what the
 * log has said; a tailer reads behind them, and what a durable cursor shows counts as promised.
 *
 * Invariant: a promise is noted after it was made, so what is noted before a crash must hold
 * behind it.
 */
#include "tests/wal/torture.h"

#include "base/thread.h"
#include "wal/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RESERVED_TYPE 0x4000u
#define BATCH_MAX 6u
#define SEQUENCE_BITS 18u
#define THREAD_BITS 4u

/* ---- records and their ids ---- */

static uint32_t make_id(uint32_t round, uint32_t thread, uint32_t sequence)
{
    return round << (SEQUENCE_BITS + THREAD_BITS) | thread << SEQUENCE_BITS | sequence;
}

static uint32_t round_of(uint32_t id)
{
    return id >> (SEQUENCE_BITS + THREAD_BITS);
}

static uint32_t thread_of(uint32_t id)
{
    return id >> SEQUENCE_BITS & ((1u << THREAD_BITS) - 1);
}

static uint32_t sequence_of(uint32_t id)
{
    return id & ((1u << SEQUENCE_BITS) - 1);
}

static uint64_t mix(uint64_t value)
{
    value = (value + 1) * UINT64_C(0x9e3779b97f4a7c15);
    value ^= value >> 29;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    return value ^ value >> 32;
}

static void fill_payload(uint32_t id, uint16_t type, uint8_t *bytes, size_t size)
{
    uint64_t mixed = mix((uint64_t)id << 16 | type) | 1;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)((mixed >> 8 * (i % 8)) + i / 8);
    }
}

static bool payload_is(uint32_t id, uint16_t type, const uint8_t *bytes, size_t size)
{
    uint64_t mixed = mix((uint64_t)id << 16 | type) | 1;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (uint8_t)((mixed >> 8 * (i % 8)) + i / 8)) {
            return false;
        }
    }
    return true;
}

/* Mostly small, some large, some empty. */
static size_t payload_size(uint32_t id, size_t most)
{
    uint64_t mixed = mix(~(uint64_t)id);
    size_t limit = mixed % 16 == 0 ? most : mixed % 16 < 4 ? most / 8 : most / 64 + 8;
    return (size_t)((mixed >> 20) % (limit + 1));
}

uint32_t torture_id(const struct weir_record *record)
{
    const uint8_t *bytes = record->data;
    if ((record->flags & WEIR_RECORD_VOID) != 0) {
        return TORTURE_ID_VOID;
    }
    uint32_t id = record->user;
    size_t skip = 0;
    if (record->type >= RESERVED_TYPE) {
        if (record->size < sizeof id) {
            return 0;
        }
        memcpy(&id, bytes, sizeof id);
        skip = sizeof id;
    }
    bool right = payload_is(id, record->type, bytes + skip, record->size - skip);
    return right && round_of(id) != 0 ? id : 0;
}

/* ---- the referee ---- */

uint64_t torture_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

struct referee *referee_new(void)
{
    void *memory = mmap(NULL, sizeof(struct referee), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    struct referee *referee = memory;
    referee->round = 1;
    return referee;
}

void referee_free(struct referee *referee)
{
    munmap(referee, sizeof *referee);
}

void referee_fail(struct referee *referee, const char *format, ...)
{
    if (atomic_fetch_add(&referee->failures, 1) > 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(referee->failure, sizeof referee->failure, format, arguments);
    va_end(arguments);
}

static void raise_to(_Atomic uint64_t *mark, uint64_t value)
{
    uint64_t now = atomic_load(mark);
    while (now < value && !atomic_compare_exchange_weak(mark, &now, value)) {
    }
}

struct referee_facts referee_facts(struct referee *referee)
{
    return (struct referee_facts){
        .acknowledged = atomic_load(&referee->acknowledged),
        .witnessed = atomic_load(&referee->witnessed),
        .cut_done = atomic_load(&referee->cut_done),
        .cut_tried = atomic_load(&referee->cut_tried),
        .horizon_tried = atomic_load(&referee->horizon_tried),
        .compactions = atomic_load(&referee->compactions),
    };
}

/* What a thread appended is there in its order, without gaps. */
struct order {
    uint32_t round;
    uint32_t last[TORTURE_THREADS_MAX + 1]; /* 0: none seen yet */
    uint32_t batch_left;
    bool from_start; /* nothing of the round was dropped in front */
};

static void check_order(struct referee *referee, struct order *order, weir_lsn lsn, uint32_t id)
{
    if (round_of(id) < order->round || thread_of(id) > TORTURE_THREADS_MAX) {
        referee_fail(referee, "LSN %ju: id %x of a round before %u", (uintmax_t)lsn, id,
                     order->round);
        return;
    }
    if (round_of(id) > order->round) {
        bool first = order->round == 0;
        *order = (struct order){.round = round_of(id), .from_start = !first};
    }
    if ((id & TORTURE_GARBAGE_SEQUENCE) != 0) {
        return; /* no thread misses it */
    }
    uint32_t *last = &order->last[thread_of(id)];
    if ((*last != 0 || order->from_start) && sequence_of(id) != *last + 1) {
        referee_fail(referee, "LSN %ju: id %x behind number %u of its thread", (uintmax_t)lsn, id,
                     *last);
    }
    *last = sequence_of(id);
}

static void check_batch(struct referee *referee, struct order *order,
                        const struct weir_record *record)
{
    uint32_t index = record->type < RESERVED_TYPE ? record->type / 64u : 0;
    uint32_t count = record->type < RESERVED_TYPE ? record->type % 64u : 1;
    if (index != 0 && order->batch_left == 0 && order->round != 0) {
        referee_fail(referee, "LSN %ju: %u of %u of a batch without its beginning",
                     (uintmax_t)record->lsn, index, count);
    }
    if (order->batch_left != 0 && order->batch_left != count - index) {
        referee_fail(referee, "LSN %ju: a batch has lost its end", (uintmax_t)record->lsn);
    }
    order->batch_left = count - index - 1;
}

static void check_record(struct referee *referee, struct order *order,
                         const struct weir_record *record, bool first)
{
    uint32_t id = torture_id(record);
    if (id == 0) {
        referee_fail(referee, "LSN %ju: bytes that nobody appended (user %x type %x size %u)",
                     (uintmax_t)record->lsn, record->user, record->type, record->size);
        return;
    }
    uint32_t told = atomic_load(&referee->ids[record->lsn % TORTURE_RECORDS_MAX]);
    if (told != 0 && told != id) {
        referee_fail(referee, "LSN %ju: holds %x, was given to %x", (uintmax_t)record->lsn, id,
                     told);
    }
    if (id == TORTURE_ID_VOID) {
        if (order->batch_left != 0) {
            referee_fail(referee, "LSN %ju: a batch has lost its end", (uintmax_t)record->lsn);
        }
        return;
    }
    if (!first) {
        check_batch(referee, order, record);
    } else if (record->type < RESERVED_TYPE) {
        order->batch_left = record->type % 64u - record->type / 64u - 1;
    }
    uint32_t left = order->batch_left;
    check_order(referee, order, record->lsn, id);
    order->batch_left = left;
}

static void check_range(struct referee *referee, const struct referee_facts *facts, weir_lsn first,
                        weir_lsn next)
{
    if (next - 1 < facts->acknowledged) {
        referee_fail(referee, "ends at %ju, and %ju was acknowledged", (uintmax_t)(next - 1),
                     (uintmax_t)facts->acknowledged);
    }
    if (first < facts->cut_done || (first > 1 && first > facts->cut_tried)) {
        referee_fail(referee, "begins at %ju, truncated to %ju, %ju was tried", (uintmax_t)first,
                     (uintmax_t)facts->cut_done, (uintmax_t)facts->cut_tried);
    }
}

/* One record, and what is missing in front of it. */
static void judge_record(struct referee *referee, const struct referee_facts *facts,
                         struct order *order, const struct weir_record *record, weir_lsn next,
                         bool first)
{
    if (record->lsn < next) {
        referee_fail(referee, "LSN %ju behind %ju", (uintmax_t)record->lsn, (uintmax_t)(next - 1));
    }
    referee_check_missing(referee, facts, next, record->lsn);
    if (referee_must_miss(referee, facts, record->lsn)) {
        referee_fail(referee, "LSN %ju was compacted away and is back", (uintmax_t)record->lsn);
    }
    check_record(referee, order, record, first);
}

weir_lsn referee_judge(struct referee *referee, struct weir_log *log,
                       const struct referee_facts *facts)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.with_void = true;
    options.compacted = true;
    struct weir_cursor *cursor;
    int rc = weir_cursor_open(log, &options, &cursor);
    if (rc < 0) {
        referee_fail(referee, "cursor: %s", weir_error_name(rc));
        return 0;
    }
    weir_lsn first = referee_earliest(log, weir_cursor_position(cursor));
    weir_lsn next = first;
    struct order order = {0};
    struct weir_record record;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        judge_record(referee, facts, &order, &record, next, next == first);
        next = record.lsn + 1;
    }
    if (rc < 0) {
        referee_fail(referee, "next at %ju: %s", (uintmax_t)next, weir_error_name(rc));
    }
    if (order.batch_left != 0) {
        referee_fail(referee, "the log ends in the middle of a batch, at %ju",
                     (uintmax_t)(next - 1));
    }
    weir_cursor_close(cursor);
    check_range(referee, facts, first, next);
    if (weir_durable_lsn(log) != next - 1) {
        referee_fail(referee, "durable %ju, last %ju", (uintmax_t)weir_durable_lsn(log),
                     (uintmax_t)(next - 1));
    }
    return next - 1;
}

void referee_next_round(struct referee *referee, struct weir_log *log, weir_lsn latest)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.with_void = true;
    options.compacted = true;
    struct weir_cursor *cursor;
    struct weir_record record;
    if (weir_cursor_open(log, &options, &cursor) == 0) {
        weir_lsn earliest = referee_earliest(log, weir_cursor_position(cursor));
        atomic_store(&referee->cut_done, earliest);
        atomic_store(&referee->cut_tried, earliest);
        while (weir_cursor_next(cursor, &record) == 1) {
            atomic_store(&referee->ids[record.lsn % TORTURE_RECORDS_MAX], torture_id(&record));
        }
        weir_cursor_close(cursor);
    }
    for (weir_lsn lsn = latest + 1; lsn <= atomic_load(&referee->highest); lsn++) {
        atomic_store(&referee->ids[lsn], 0);
    }
    referee_note_missing(referee, log);
    atomic_store(&referee->acknowledged, latest);
    atomic_store(&referee->witnessed, latest);
    referee->round++;
}

/* ---- the threads ---- */

struct worker {
    struct torture *torture;
    struct base_thread thread;
    struct base_prng prng;
    unsigned number;
    uint32_t sequence; /* last used */
    uint32_t garbage;  /* how many of its records are */
    weir_lsn last;     /* last LSN of its own */
    bool started;
    uint8_t *buffer;
    _Atomic uint32_t *done; /* workers that have ended */
};

static uint32_t below(struct worker *worker, uint32_t bound)
{
    return (uint32_t)base_prng_below(&worker->prng, bound);
}

static enum weir_durability draw_durability(struct worker *worker)
{
    uint32_t chance = below(worker, 10);
    return chance < 3 ? WEIR_EACH : chance < 7 ? WEIR_GROUP : WEIR_NONE;
}

static void note_id(struct worker *worker, weir_lsn lsn, uint32_t id)
{
    struct referee *referee = worker->torture->referee;
    if (lsn >= TORTURE_RECORDS_MAX) {
        atomic_store(&referee->stop, 1);
        return;
    }
    raise_to(&referee->highest, lsn);
    uint32_t before = atomic_exchange(&referee->ids[lsn], id);
    if (before != 0) {
        referee_fail(referee, "LSN %ju was given twice: %x, %x", (uintmax_t)lsn, before, id);
    }
    worker->last = lsn > worker->last ? lsn : worker->last;
}

/* 0, or why the thread ends. */
static int expect(struct worker *worker, const char *call, int rc)
{
    bool full = rc == -ENOSPC;
    bool held = rc == WEIR_E_HELD && worker->torture->retains;
    if (rc >= 0 || full || held || rc == WEIR_E_BUSY) {
        return 0;
    }
    if (!worker->torture->faults) {
        referee_fail(worker->torture->referee, "%s: %s", call, weir_error_name(rc));
    }
    return worker->torture->goes_on && rc != WEIR_E_POISONED ? 0 : rc;
}

static int do_batch(struct worker *worker, unsigned count)
{
    struct weir_entry entries[BATCH_MAX];
    struct weir_part parts[BATCH_MAX];
    uint8_t *at = worker->buffer;
    struct torture *torture = worker->torture;
    for (unsigned i = 0; i < count; i++) {
        uint32_t id = make_id(torture->referee->round, worker->number, worker->sequence + 1 + i);
        uint16_t type = (uint16_t)(i * 64 + count);
        parts[i] = (struct weir_part){at, payload_size(id, torture->payload_max / count)};
        fill_payload(id, type, at, parts[i].size);
        entries[i] =
            (struct weir_entry){.parts = &parts[i], .part_count = 1, .user = id, .type = type};
        at += parts[i].size;
    }
    enum weir_durability durability = draw_durability(worker);
    weir_lsn lsn = 0;
    int rc = count == 1 ? weir_append(torture->log, entries, durability, &lsn)
                        : weir_append_batch(torture->log, entries, count, durability, &lsn);
    if (rc == 0) {
        for (unsigned i = 0; i < count; i++) {
            note_id(worker, lsn + i, entries[i].user);
        }
        worker->sequence += count;
        if (durability == WEIR_EACH) {
            raise_to(&torture->referee->acknowledged, lsn + count - 1);
        }
    }
    return expect(worker, "append", rc);
}

static int do_reservation(struct worker *worker)
{
    struct torture *torture = worker->torture;
    uint32_t id = make_id(torture->referee->round, worker->number, worker->sequence + 1);
    uint16_t type = (uint16_t)(RESERVED_TYPE + worker->number);
    size_t size = sizeof id + payload_size(id, torture->payload_max - sizeof id);
    struct weir_reservation reservation;
    int rc = weir_reserve(torture->log, type, size, &reservation);
    if (rc < 0) {
        return expect(worker, "reserve", rc);
    }
    weir_lsn lsn = reservation.lsn;
    if (below(worker, 4) == 0) {
        memset(reservation.data, 0xcc, size / 2); /* what is given up must not be seen */
        rc = weir_cancel(torture->log, &reservation);
        note_id(worker, lsn, TORTURE_ID_VOID);
        return expect(worker, "cancel", rc);
    }
    memcpy(reservation.data, &id, sizeof id);
    fill_payload(id, type, (uint8_t *)reservation.data + sizeof id, size - sizeof id);
    worker->sequence++;
    note_id(worker, lsn, id);
    enum weir_durability durability = draw_durability(worker);
    rc = weir_publish(torture->log, &reservation, durability);
    if (rc == 0 && durability == WEIR_EACH) {
        raise_to(&torture->referee->acknowledged, lsn);
    }
    return expect(worker, "publish", rc);
}

/* A record of the engine's, that compaction drops. */
static int do_garbage(struct worker *worker)
{
    struct torture *torture = worker->torture;
    uint32_t number = TORTURE_GARBAGE_SEQUENCE | ++worker->garbage;
    uint32_t id = make_id(torture->referee->round, worker->number, number);
    size_t size = sizeof id + payload_size(id, torture->payload_max - sizeof id);
    memcpy(worker->buffer, &id, sizeof id);
    fill_payload(id, TORTURE_GARBAGE_TYPE, worker->buffer + sizeof id, size - sizeof id);
    struct weir_part part = {worker->buffer, size};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = TORTURE_GARBAGE_TYPE};
    struct wal_address_batch batch = {.entries = &entry, .count = 1};
    enum weir_durability durability = draw_durability(worker);
    weir_lsn lsn = 0;
    int rc = wal_address_append(torture->log, &batch, durability, &lsn);
    if (rc == 0) {
        note_id(worker, lsn, id);
        if (durability == WEIR_EACH) {
            raise_to(&torture->referee->acknowledged, lsn);
        }
    }
    return expect(worker, "append", rc);
}

static int do_compact(struct worker *worker)
{
    weir_lsn durable = weir_durable_lsn(worker->torture->log);
    weir_lsn horizon = durable - base_prng_below(&worker->prng, durable + 1) / 4;
    int rc = referee_compact(worker->torture->referee, worker->torture->log, horizon);
    return expect(worker, "compact", rc == -EBUSY || rc == WEIR_E_HELD ? 0 : rc);
}

static int do_truncate(struct worker *worker)
{
    struct torture *torture = worker->torture;
    weir_lsn durable = weir_durable_lsn(torture->log);
    weir_lsn to = durable + 1 - base_prng_below(&worker->prng, durable + 1) / 4;
    raise_to(&torture->referee->cut_tried, to);
    int rc = weir_truncate_before(torture->log, to, NULL);
    if (rc == 0) {
        raise_to(&torture->referee->cut_done, to);
    }
    return expect(worker, "truncate", rc);
}

static int do_wait(struct worker *worker)
{
    struct torture *torture = worker->torture;
    if (worker->last == 0) {
        return 0;
    }
    int rc = weir_wait(torture->log, worker->last, WEIR_WAIT_FOREVER);
    if (rc == 0) {
        raise_to(&torture->referee->acknowledged, worker->last);
    }
    return expect(worker, "wait", rc);
}

static int do_commit(struct worker *worker)
{
    struct torture *torture = worker->torture;
    weir_lsn last = worker->last;
    int rc = weir_commit(torture->log);
    if (rc == 0) {
        raise_to(&torture->referee->acknowledged, last);
        raise_to(&torture->referee->witnessed, last);
    } else if (rc == -ENOSPC && weir_durable_lsn(torture->log) < last) {
        referee_fail(torture->referee, "commit says ENOSPC, and %ju is not durable",
                     (uintmax_t)last);
    }
    return expect(worker, "commit", rc);
}

static int do_process(struct worker *worker)
{
    struct torture *torture = worker->torture;
    weir_lsn durable = 0;
    int rc = weir_process(torture->log, &durable);
    if (rc == 0) {
        raise_to(&torture->referee->acknowledged, durable);
    }
    raise_to(&torture->referee->acknowledged, weir_durable_lsn(torture->log));
    return expect(worker, "process", rc);
}

static int do_look(struct worker *worker)
{
    struct torture *torture = worker->torture;
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_log_stat(torture->log, &stat);
    if (rc == 0) {
        raise_to(&torture->referee->acknowledged, stat.durable);
    }
    return expect(worker, "stat", rc == WEIR_E_TRUNCATED ? 0 : rc);
}

static bool is_overtaken(int rc)
{
    return rc == WEIR_E_TRUNCATED || rc == WEIR_E_HORIZON;
}

/* A few records through a cursor of its own. */
static int do_read(struct worker *worker)
{
    struct torture *torture = worker->torture;
    struct referee *referee = torture->referee;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = below(worker, 2) == 0;
    options.with_void = true;
    options.from = below(worker, 3) == 0 ? WEIR_FROM_LATEST : WEIR_FROM_LSN;
    options.lsn = base_prng_below(&worker->prng, weir_durable_lsn(torture->log) + 1);
    struct weir_cursor *cursor;
    int rc = weir_cursor_open(torture->log, &options, &cursor);
    if (rc < 0) {
        return expect(worker, "cursor", is_overtaken(rc) ? 0 : rc);
    }
    struct weir_pin *pin = NULL;
    struct weir_record record, pinned = {0};
    weir_lsn before = 0;
    for (unsigned i = 0; i < 40 && (rc = weir_cursor_next(cursor, &record)) == 1; i++) {
        uint32_t id = torture_id(&record);
        if (id == 0 || (before != 0 && record.lsn != before + 1)) {
            referee_fail(referee, "a cursor shows %ju behind %ju, id %x", (uintmax_t)record.lsn,
                         (uintmax_t)before, id);
        }
        before = record.lsn;
        if (!options.published) {
            raise_to(&referee->acknowledged, record.lsn);
        }
        if (pin == NULL && below(worker, 8) == 0 && weir_cursor_pin(cursor, &pin) == 0) {
            pinned = record;
        }
    }
    weir_cursor_close(cursor);
    if (pin != NULL) {
        if (torture_id(&pinned) == 0) {
            referee_fail(referee, "pinned LSN %ju has changed", (uintmax_t)pinned.lsn);
        }
        weir_pin_drop(pin);
    }
    return expect(worker, "next", is_overtaken(rc) ? 0 : rc);
}

static int take_hold(void *context, const struct weir_hold *hold)
{
    (void)context;
    return hold->floor == 0 ? -EINVAL : 0;
}

/* A hold of its own: what it keeps must stay readable. */
static int do_hold(struct worker *worker)
{
    struct torture *torture = worker->torture;
    char name[16];
    (void)snprintf(name, sizeof name, "w%u", worker->number);
    weir_lsn durable = weir_durable_lsn(torture->log);
    weir_lsn floor = durable + 1 - base_prng_below(&worker->prng, durable + 1) / 4;
    int rc = weir_hold_set(torture->log, name, floor);
    if (rc == WEIR_E_TRUNCATED) {
        return 0;
    }
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = floor;
    struct weir_cursor *cursor = NULL;
    rc = rc < 0 ? rc : weir_cursor_open(torture->log, &options, &cursor);
    rc = rc == WEIR_E_HORIZON && floor < referee_earliest_whole(torture->log) ? 0 : rc;
    weir_cursor_close(cursor);
    rc = rc < 0 ? rc : weir_hold_list(torture->log, take_hold, NULL);
    rc = rc < 0 ? rc : weir_hold_move(torture->log, name, weir_durable_lsn(torture->log));
    rc = rc == -EINVAL ? 0 : rc; /* its floor was the one behind the last */
    rc = rc < 0 ? rc : weir_hold_drop(torture->log, name);
    return expect(worker, "hold", rc);
}

static int do_anything(struct worker *worker)
{
    struct torture *torture = worker->torture;
    if (torture->retains && below(worker, 20) == 0) {
        return below(worker, 3) == 0 ? expect(worker, "prepare", weir_prepare(torture->log, 100000))
                                     : do_hold(worker);
    }
    if (torture->compacts && below(worker, 8) == 0) {
        return below(worker, 6) == 0 ? do_compact(worker) : do_garbage(worker);
    }
    uint32_t chance = below(worker, 100);
    if (chance < 60) {
        return do_batch(worker, 1);
    }
    if (chance < 70) {
        return do_batch(worker, 2 + below(worker, BATCH_MAX - 1));
    }
    if (chance < 78) {
        return do_reservation(worker);
    }
    if (chance < 81) {
        return torture->truncates ? do_truncate(worker) : do_wait(worker);
    }
    if (chance < 85) {
        return do_commit(worker);
    }
    if (chance < 89) {
        return do_wait(worker);
    }
    if (chance < 93) {
        return do_process(worker);
    }
    return chance < 95 ? do_look(worker) : do_read(worker);
}

static void work(void *context)
{
    struct worker *worker = context;
    struct torture *torture = worker->torture;
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < torture->ops && atomic_load(&torture->referee->stop) == 0;
         i++) {
        rc = do_anything(worker);
    }
    atomic_fetch_add(worker->done, 1);
}

static int seek_earliest(struct weir_cursor *cursor, struct weir_log *log)
{
    int rc;
    do { /* it may move in between */
        struct weir_stat stat = WEIR_STAT_INIT;
        rc = weir_log_stat(log, &stat); /* without memory it does not say where the log begins */
        rc = rc < 0 ? rc : weir_cursor_seek(cursor, referee_earliest_whole(log));
    } while (is_overtaken(rc));
    return rc;
}

/* Reads behind the writers; what it shows counts as promised. */
static void tail(void *context)
{
    struct worker *worker = context;
    struct torture *torture = worker->torture;
    struct referee *referee = torture->referee;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.with_void = true;
    struct weir_cursor *cursor;
    options.from = WEIR_FROM_LSN;
    options.lsn = referee_earliest_whole(torture->log);
    int rc = weir_cursor_open(torture->log, &options, &cursor);
    if (rc < 0) {
        (void)expect(worker, "tailer", is_overtaken(rc) ? 0 : rc);
        return;
    }
    struct order order = {0};
    weir_lsn next = weir_cursor_position(cursor);
    bool first = true;
    struct weir_record record;
    for (;;) {
        bool last_look = atomic_load(worker->done) >= torture->threads;
        while ((rc = weir_cursor_next(cursor, &record)) == 1) {
            if (record.lsn != next) {
                referee_fail(referee, "the tailer got %ju, not %ju", (uintmax_t)record.lsn,
                             (uintmax_t)next);
            }
            check_record(referee, &order, &record, first);
            first = false;
            next = record.lsn + 1;
            raise_to(&referee->acknowledged, record.lsn);
        }
        if (is_overtaken(rc) && seek_earliest(cursor, torture->log) == 0) {
            if (weir_cursor_position(cursor) <= next - 1) {
                referee_fail(referee, "overtaken at %ju by %ju", (uintmax_t)next,
                             (uintmax_t)weir_cursor_position(cursor));
            }
            next = weir_cursor_position(cursor);
            order = (struct order){0};
            first = true;
            rc = 0;
        }
        if (rc == 0 && !last_look) {
            rc = weir_cursor_wait(cursor, 2000000);
            rc = is_overtaken(rc) ? 0 : rc;
        }
        if (rc < 0 || last_look) {
            break;
        }
    }
    weir_cursor_close(cursor);
    (void)expect(worker, "tailing", rc);
}

void torture_run(struct torture *torture)
{
    struct worker workers[2 * TORTURE_THREADS_MAX];
    _Atomic uint32_t done = 0;
    unsigned count = torture->threads + torture->tailers;
    size_t room = torture->payload_max + 64;
    uint8_t *buffers = malloc(count * room);
    assert_non_null(buffers);
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (struct worker){
            .torture = torture, .number = i, .buffer = buffers + i * room, .done = &done};
        base_prng_seed(&workers[i].prng, torture->seed * 64 + i);
        bool writes = i < torture->threads;
        int rc =
            base_thread_start(&workers[i].thread, "torture", writes ? work : tail, &workers[i]);
        assert_true(rc == 0 || torture->faults);
        workers[i].started = rc == 0;
        if (rc < 0 && writes) {
            atomic_fetch_add(&done, 1);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (workers[i].started) {
            base_thread_join(&workers[i].thread);
        }
    }
    free(buffers);
}
