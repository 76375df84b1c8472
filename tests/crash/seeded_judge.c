/*
 * Judging the images of a seeded run.
 *
 * An image is verified, read, cut again without anything having been written, and recovered with
 * the power cut in the middle, as often as the seed says; then a writer must find all that was
 * promised.
 */
#include "tests/crash/seeded_run.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

static int note_finding(void *context, const struct weir_finding *finding)
{
    if (finding->note) {
        return 0; /* what exists twice or is derived was torn: said, and nothing is lost */
    }
    referee_fail(context, "verify: %s at %ju of %s: %s", finding->code, (uintmax_t)finding->offset,
                 finding->file, finding->text);
    return 0;
}

static void verify(struct plan *plan, struct weir_medium *keeper, const struct referee_facts *facts)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    options.custom_medium = seeded_medium_on(plan, keeper, true);
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    int rc = weir_verify("memory", &options, note_finding, plan->referee, &report, NULL);
    if (rc < 0 || (rc == 0 && (!report.ok || report.latest < facts->acknowledged))) {
        if (rc == 0 && report.earliest == 0 && report.latest == 0) {
            return; /* empty */
        }
        referee_fail(plan->referee, "verify: %s, ok %d, latest %ju of %ju", weir_error_name(rc),
                     report.ok, (uintmax_t)report.latest, (uintmax_t)facts->acknowledged);
    }
}

/* A reader alone: shows what the next writer keeps, over a power cut, too. */
static void look(struct plan *plan, struct image_of_crash *image)
{
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = seeded_open(plan, image->medium, WEIR_LOG_READ_ONLY, NULL, &log, &why);
    if (rc < 0) {
        referee_fail(plan->referee, "a reader is refused: %s", why.text);
        return;
    }
    weir_lsn shown = referee_judge(plan->referee, log, &image->facts);
    image->facts.acknowledged =
        shown > image->facts.acknowledged ? shown : image->facts.acknowledged;
    rc = weir_log_close(log);
    if (rc < 0) {
        referee_fail(plan->referee, "a reader closes: %s", weir_error_name(rc));
    }
}

static void again_without_power(struct plan *plan, struct image_of_crash *image)
{
    struct watch watch = {.plan = plan, .medium = image->medium};
    watch.prng = plan->prng;
    (void)base_prng_next(&plan->prng);
    struct referee_facts facts = image->facts;
    watch_cut_power(&watch);
    image->medium->ops->destroy(image->medium);
    WEIR_ASSERT(watch.image_count == 1);
    *image = watch.images[0];
    image->facts = facts;
}

bool seeded_tolerates(const struct plan *plan, int rc)
{
    return rc == 0 || (plan->trouble == TROUBLE_FULL && rc == -ENOSPC);
}

/* Recovery that dies at a random call: what is left must be as good. */
static void interrupt_recovery(struct plan *plan, struct image_of_crash *image)
{
    struct watch watch = {.plan = plan, .dies = true};
    base_prng_seed(&watch.prng, base_prng_next(&plan->prng));
    for (unsigned i = 1; i < IMAGES_MAX; i++) {
        watch.cut_at[i] = UINT64_MAX;
    }
    watch.cut_at[0] = base_prng_below(&plan->prng, 120);
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    struct referee_facts facts = image->facts;
    enum trouble trouble = plan->trouble;
    plan->trouble = TROUBLE_NONE;
    int rc = seeded_open(plan, image->medium, 0, &watch, &log, &why);
    plan->trouble = trouble;
    if (rc == 0) {
        (void)weir_log_close(log);
    } else if (rc != -EIO && rc != WEIR_E_POISONED && !atomic_load(&watch.dead) &&
               !seeded_tolerates(plan, rc)) {
        referee_fail(plan->referee, "a writer is refused: %s", why.text);
    }
    if (watch.image_count == 0) {
        return;
    }
    image->medium->ops->destroy(image->medium);
    *image = watch.images[0];
    image->facts = facts;
}

/* Everything that may happen between the power cut and the next writer, then what it finds. */
void seeded_judge(struct plan *plan, struct image_of_crash *image)
{
    uint64_t size;
    if (sim_memory_bytes(image->medium, "CONTROL", false, &size) != NULL) {
        verify(plan, image->medium, &image->facts);
        if (base_prng_below(&plan->prng, 2) == 0) {
            look(plan, image);
        }
        if (base_prng_below(&plan->prng, 2) == 0) {
            again_without_power(plan, image);
        }
    } else if (image->facts.acknowledged > 0) {
        referee_fail(plan->referee, "CONTROL is gone");
    }
    while (base_prng_below(&plan->prng, 2) == 0) {
        interrupt_recovery(plan, image);
    }
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = seeded_open(plan, image->medium, 0, NULL, &log, &why);
    if (rc < 0) {
        if (!seeded_tolerates(plan, rc)) {
            referee_fail(plan->referee, "a writer is refused: %d %s", rc, why.text);
        }
        return;
    }
    (void)referee_judge(plan->referee, log, &image->facts);
    rc = weir_log_close(log);
    if (!seeded_tolerates(plan, rc)) {
        referee_fail(plan->referee, "close: %s", weir_error_name(rc));
    }
}

/* ---- a device that lied ---- */

static bool is_refusal(int rc)
{
    return rc == WEIR_E_LOST || rc == WEIR_E_HOLE || rc == WEIR_E_ROLLED_BACK ||
           rc == WEIR_E_DAMAGED || rc == WEIR_E_CUT_SHORT || rc == WEIR_E_CONTROL ||
           rc == WEIR_E_NOT_A_LOG;
}

static int count_finding(void *context, const struct weir_finding *finding)
{
    (void)finding;
    ++*(unsigned *)context;
    return 0;
}

/* What cannot be opened is never called whole. */
static void expect_findings(struct plan *plan, struct image_of_crash *image)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    unsigned findings = 0;
    options.medium = WEIR_MEDIUM_CUSTOM;
    options.custom_medium = seeded_medium_on(plan, image->medium, true);
    int rc = weir_verify("simulated", &options, count_finding, &findings, &report, NULL);
    if (rc == 0 && (report.ok || findings == 0)) {
        referee_fail(plan->referee, "verify says ok of a log that is refused");
    }
}

/* Reads as far as it goes; each record must be the one that got its LSN. */
static void read_lied(struct plan *plan, struct weir_log *log, weir_lsn promised)
{
    struct referee *referee = plan->referee;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.with_void = true;
    options.compacted = true;
    struct weir_cursor *cursor;
    struct weir_record record;
    struct referee_facts facts = referee_facts(referee);
    int rc = weir_cursor_open(log, &options, &cursor);
    if (rc < 0) {
        if (!is_refusal(rc)) {
            referee_fail(referee, "a cursor: %s", weir_error_name(rc));
        }
        return;
    }
    weir_lsn next = weir_cursor_position(cursor);
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        uint32_t id = torture_id(&record);
        uint32_t told = atomic_load(&referee->ids[record.lsn % TORTURE_RECORDS_MAX]);
        referee_check_missing(referee, &facts, next, record.lsn);
        if (record.lsn < next || id == 0 || (told != 0 && told != id)) {
            referee_fail(referee, "after a lie: LSN %ju (due %ju) holds %x, was given to %x",
                         (uintmax_t)record.lsn, (uintmax_t)next, id, told);
        }
        next = record.lsn + 1;
    }
    weir_cursor_close(cursor);
    if (rc == 0 && next - 1 < promised) {
        referee_fail(referee, "after a lie: ends silently at %ju, and %ju was witnessed",
                     (uintmax_t)(next - 1), (uintmax_t)promised);
    } else if (rc < 0 && !is_refusal(rc)) {
        referee_fail(referee, "after a lie: next at %ju: %s", (uintmax_t)next, weir_error_name(rc));
    }
}

void seeded_judge_lied(struct plan *plan, struct image_of_crash *image)
{
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    bool strict = plan->log.witness == WEIR_WITNESS_STRICT;
    int rc = seeded_open(plan, image->medium, 0, NULL, &log, &why);
    if (rc < 0) {
        plan->result->refusals++;
        if (!is_refusal(rc)) {
            referee_fail(plan->referee, "after a lie: refused with %s: %s", weir_error_name(rc),
                         why.text);
        }
        expect_findings(plan, image);
        return;
    }
    weir_lsn promised = strict ? image->facts.acknowledged : image->facts.witnessed;
    read_lied(plan, log, plan->result->lies_told == 1 ? promised : 0);
    (void)weir_log_close(log);
}
