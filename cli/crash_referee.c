/*
 * Promises by LSN, and what a log makes of them.
 *
 * 1. Writers announce each record before they append it and note its origin under its LSN once it
 *    is durable. Both go to memory that processes share, so a SIGKILL takes nothing of it back.
 * 2. After a crash every record of the log is seen in order: its LSN is the next one, its bytes are
 *    those of its origin, its origin is the one that was promised under this LSN, its writer really
 *    got that far, and it is the next of its writer. Promises behind the last record are missing.
 * 3. What was seen becomes a promise itself.
 *
 * Failures of the log are findings, never assertions. Findings of neighbouring LSNs are one range.
 *
 * Invariant: a promise is stored behind the return of the append or wait that made the record
 * durable, never before.
 */
#include "cli/crash_referee.h"

#include "base/alloc.h"

#include <weir/cursor.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define LOOK_EVERY 4096u /* records between two looks at stop() */

/* What processes share. */
struct shared {
    _Atomic uint64_t acknowledged; /* in this round */
    _Atomic uint64_t highest;      /* LSN that was acknowledged */
    _Atomic uint64_t twice;        /* the first LSN that was acknowledged twice; 0: none */
    _Atomic uint32_t cut;
    _Atomic uint32_t tried[CRASH_WRITERS_MAX]; /* of this round */
    _Atomic uint64_t ids[];                    /* by LSN; 0: nothing is promised */
};

struct crash_referee {
    struct shared *shared;
    size_t shared_size;
    uint64_t records_max;
    unsigned writers, rounds;
    unsigned round;
    struct crash_sizes sizes;
    weir_lsn settled; /* end of what the last recovery kept */
    uint32_t *next;   /* by writer: the number of the record that must come next */
    weir_lsn next_lsn;
    uint8_t *scratch;
};

static uint64_t id_of(struct crash_origin origin)
{
    return (uint64_t)origin.writer << 32 | origin.number;
}

static struct crash_origin origin_of(uint64_t id)
{
    return (struct crash_origin){(uint32_t)(id >> 32), (uint32_t)id};
}

int crash_referee_create(unsigned writers, unsigned rounds, const struct crash_sizes *sizes,
                         uint64_t records_max, struct crash_referee **ret_referee)
{
    struct crash_referee *referee = base_alloc_zero(sizeof *referee);
    if (referee == NULL) {
        return -ENOMEM;
    }
    referee->writers = writers;
    referee->rounds = rounds;
    referee->sizes = *sizes;
    referee->records_max = records_max;
    referee->shared_size = sizeof(struct shared) + (records_max + 1) * sizeof(uint64_t);
    /* Pages are there once they are written: the table costs what was appended. */
    void *memory = mmap(NULL, referee->shared_size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    referee->shared = memory == MAP_FAILED ? NULL : memory;
    referee->next = base_alloc_array((size_t)writers * rounds + 1, sizeof referee->next[0]);
    referee->scratch = base_alloc(sizes->max);
    if (referee->shared == NULL || referee->next == NULL || referee->scratch == NULL) {
        crash_referee_destroy(referee);
        return -ENOMEM;
    }
    *ret_referee = referee;
    return 0;
}

void crash_referee_destroy(struct crash_referee *referee)
{
    if (referee == NULL) {
        return;
    }
    if (referee->shared != NULL) {
        munmap(referee->shared, referee->shared_size);
    }
    base_free(referee->next);
    base_free(referee->scratch);
    base_free(referee);
}

const struct crash_sizes *crash_referee_sizes(const struct crash_referee *referee)
{
    return &referee->sizes;
}

/* ---- while writers run ---- */

void crash_referee_round_begin(struct crash_referee *referee, unsigned round)
{
    struct shared *shared = referee->shared;
    referee->round = round;
    atomic_store(&shared->acknowledged, 0);
    atomic_store(&shared->cut, 0);
    for (unsigned i = 0; i < CRASH_WRITERS_MAX; i++) {
        atomic_store(&shared->tried[i], 0);
    }
}

static uint32_t first_writer(const struct crash_referee *referee)
{
    return 1 + referee->round * referee->writers;
}

uint32_t crash_referee_writer(const struct crash_referee *referee, unsigned i)
{
    return first_writer(referee) + i;
}

void crash_referee_try(struct crash_referee *referee, unsigned i, uint32_t number)
{
    atomic_store_explicit(&referee->shared->tried[i], number, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    while (seen < value && !atomic_compare_exchange_weak(word, &seen, value)) {
    }
}

uint64_t crash_referee_acknowledge(struct crash_referee *referee, weir_lsn lsn,
                                   struct crash_origin origin)
{
    struct shared *shared = referee->shared;
    if (crash_referee_is_cut(referee) || lsn > referee->records_max) {
        return atomic_load(&shared->acknowledged);
    }
    uint64_t before = atomic_exchange(&shared->ids[lsn], id_of(origin));
    if (before != 0) {
        uint64_t none = 0;
        (void)atomic_compare_exchange_strong(&shared->twice, &none, lsn);
    }
    raise_to(&shared->highest, lsn);
    return atomic_fetch_add(&shared->acknowledged, 1) + 1;
}

uint64_t crash_referee_acknowledged(const struct crash_referee *referee)
{
    return atomic_load(&referee->shared->acknowledged);
}

bool crash_referee_is_full(const struct crash_referee *referee)
{
    return atomic_load_explicit(&referee->shared->highest, memory_order_relaxed) >=
           referee->records_max;
}

void crash_referee_cut(struct crash_referee *referee)
{
    atomic_store(&referee->shared->cut, 1);
}

bool crash_referee_is_cut(const struct crash_referee *referee)
{
    return atomic_load(&referee->shared->cut) != 0;
}

/* ---- after a crash ---- */

static bool is_loss(enum crash_fault fault)
{
    return fault == CRASH_MISSING || fault == CRASH_DIFFERENT || fault == CRASH_TWICE ||
           fault == CRASH_STATE;
}

static void note_range(struct crash_verdict *verdict, enum crash_fault fault, weir_lsn from,
                       weir_lsn to)
{
    uint64_t count = to - from + 1;
    verdict->lost += is_loss(fault) ? count : 0;
    verdict->wrong += is_loss(fault) ? 0 : count;
    for (unsigned i = 0; i < verdict->findings; i++) {
        struct crash_finding *finding = &verdict->finding[i];
        if (finding->fault == fault && finding->to_lsn + 1 == from) {
            finding->to_lsn = to;
            return;
        }
    }
    if (verdict->findings < CRASH_FINDINGS_MAX) {
        verdict->finding[verdict->findings++] = (struct crash_finding){fault, from, to};
    }
}

static void note(struct crash_verdict *verdict, enum crash_fault fault, weir_lsn lsn)
{
    note_range(verdict, fault, lsn, lsn);
}

static uint64_t promised(const struct crash_referee *referee, weir_lsn lsn)
{
    return lsn <= referee->records_max ? atomic_load(&referee->shared->ids[lsn]) : 0;
}

/* The records that should have come in [from, to) did not. */
static void miss(struct crash_referee *referee, weir_lsn from, weir_lsn to,
                 struct crash_verdict *verdict)
{
    for (weir_lsn lsn = from; lsn < to && lsn <= referee->records_max; lsn++) {
        uint64_t id = promised(referee, lsn);
        if (id != 0) {
            note(verdict, CRASH_MISSING, lsn);
            referee->next[origin_of(id).writer] = origin_of(id).number + 1;
        }
    }
}

void crash_referee_judge_begin(struct crash_referee *referee, struct crash_verdict *verdict)
{
    memset(verdict, 0, sizeof *verdict);
    verdict->acknowledged = crash_referee_acknowledged(referee);
    for (size_t i = 0; i <= (size_t)referee->writers * referee->rounds; i++) {
        referee->next[i] = 1;
    }
    referee->next_lsn = 1;
    uint64_t twice = atomic_load(&referee->shared->twice);
    if (twice != 0) {
        note(verdict, CRASH_TWICE, twice);
    }
}

/* Whether a writer of this round, or of one that this record may be from, appended it. */
static bool was_tried(const struct crash_referee *referee, struct crash_origin origin)
{
    uint32_t first = first_writer(referee);
    if (origin.writer == 0 || origin.number == 0 || origin.writer >= first + referee->writers) {
        return false;
    }
    return origin.writer < first ||
           origin.number <= atomic_load(&referee->shared->tried[origin.writer - first]);
}

/* A record with bytes of a writer of ours. */
static void judge_origin(struct crash_referee *referee, weir_lsn lsn, struct crash_origin origin,
                         struct crash_verdict *verdict)
{
    uint64_t promise = promised(referee, lsn);
    if (promise != 0 && promise != id_of(origin)) {
        note(verdict, CRASH_DIFFERENT, lsn);
        referee->next[origin_of(promise).writer] = origin_of(promise).number + 1;
        return;
    }
    if (!was_tried(referee, origin)) {
        note(verdict, CRASH_FOREIGN, lsn);
        return;
    }
    if (lsn > referee->settled && origin.writer < first_writer(referee)) {
        note(verdict, CRASH_RETURNED, lsn);
        return;
    }
    if (referee->next[origin.writer] != origin.number) {
        note(verdict, CRASH_ORDER, lsn);
    }
    referee->next[origin.writer] = origin.number + 1;
    if (promise == 0 && lsn <= referee->records_max) {
        atomic_store(&referee->shared->ids[lsn], id_of(origin));
    }
}

void crash_referee_see(struct crash_referee *referee, const struct weir_record *record,
                       struct crash_verdict *verdict)
{
    struct crash_origin origin;
    weir_lsn lsn = record->lsn;
    if (lsn < referee->next_lsn) {
        note(verdict, CRASH_ORDER, lsn);
        return;
    }
    if (lsn > referee->next_lsn) {
        note_range(verdict, CRASH_GAP, referee->next_lsn, lsn - 1);
    }
    miss(referee, referee->next_lsn, lsn, verdict);
    referee->next_lsn = lsn + 1;
    verdict->latest = lsn;
    verdict->recovered++;
    if (crash_record_read(record, &referee->sizes, referee->scratch, &origin)) {
        judge_origin(referee, lsn, origin, verdict);
    } else if (promised(referee, lsn) != 0) {
        struct crash_origin promise = origin_of(promised(referee, lsn));
        note(verdict, CRASH_DIFFERENT, lsn);
        referee->next[promise.writer] = promise.number + 1;
    } else {
        note(verdict, CRASH_FOREIGN, lsn);
    }
}

void crash_referee_judge_end(struct crash_referee *referee, struct crash_verdict *verdict)
{
    weir_lsn highest = atomic_load(&referee->shared->highest);
    weir_lsn end = highest > referee->settled ? highest : referee->settled;
    miss(referee, referee->next_lsn, end + 1, verdict);
    referee->settled = verdict->latest;
}

/* Returns 0 when the cursor stands behind what cannot be read; those LSNs are then skipped ones.
 * @param passed  the end of what was stepped over before: damage that does not end is an error */
static int step_over_damage(struct weir_cursor *cursor, int rc, weir_lsn *passed,
                            struct weir_error *why)
{
    if (weir_cursor_error(cursor, why) < 0 || rc != WEIR_E_DAMAGED || why->from_lsn == 0 ||
        why->to_lsn == UINT64_MAX || why->to_lsn <= *passed) {
        return rc;
    }
    *passed = why->to_lsn;
    return weir_cursor_seek(cursor, why->to_lsn + 1);
}

int crash_referee_judge(struct crash_referee *referee, struct weir_log *log, bool (*stop)(void),
                        struct crash_verdict *ret_verdict, struct weir_error *why)
{
    struct weir_cursor *cursor;
    struct weir_record record;
    weir_lsn passed = 0;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.with_void = true; /* nobody cancelled anything: each would be a finding */
    int rc = weir_cursor_open(log, &options, &cursor);
    if (rc < 0) {
        return rc;
    }
    crash_referee_judge_begin(referee, ret_verdict);
    while ((rc = weir_cursor_next(cursor, &record)) != 0) {
        if (rc < 0) {
            rc = step_over_damage(cursor, rc, &passed, why);
            if (rc < 0) {
                break;
            }
            continue;
        }
        crash_referee_see(referee, &record, ret_verdict);
        if (record.lsn % LOOK_EVERY == 0 && stop != NULL && stop()) {
            rc = -EINTR;
            break;
        }
    }
    weir_cursor_close(cursor);
    if (rc == 0) {
        crash_referee_judge_end(referee, ret_verdict);
    }
    return rc;
}

bool crash_referee_knows(const struct crash_referee *referee, weir_lsn lsn,
                         struct crash_origin origin)
{
    return lsn > referee->records_max || promised(referee, lsn) == id_of(origin);
}

void crash_verdict_note(struct crash_verdict *verdict, enum crash_fault fault, weir_lsn lsn)
{
    note(verdict, fault, lsn);
}

static const struct {
    const char *name, *text;
} faults[CRASH_FAULTS] = {
    [CRASH_MISSING] = {"missing", "was acknowledged and is not in the log"},
    [CRASH_DIFFERENT] = {"different", "was acknowledged and holds other bytes"},
    [CRASH_TWICE] = {"twice", "was acknowledged for two records"},
    [CRASH_FOREIGN] = {"foreign", "holds bytes that no writer appended"},
    [CRASH_RETURNED] = {"returned", "holds a record that an earlier recovery had dropped"},
    [CRASH_ORDER] = {"order", "is not in the order in which its writer appended"},
    [CRASH_GAP] = {"gap", "is skipped by the log"},
    [CRASH_STATE] = {"state", "is not what the engine shows of it"},
};

const char *crash_fault_name(enum crash_fault fault)
{
    return faults[fault].name;
}

const char *crash_fault_text(enum crash_fault fault)
{
    return faults[fault].text;
}
