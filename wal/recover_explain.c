/*
 * The sentence of a refusal: which file, where, which LSNs, and what was expected instead.
 */
#include "wal/log.h"
#include "wal/recover_judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct place {
    char file[FORMAT_NAME_BYTES];
    uint64_t offset;
};

static struct place place_of(const struct judge *judge, uint64_t address)
{
    struct place place = {.offset = address & (judge->control->segment_bytes - 1)};
    format_segment_name(address / judge->control->segment_bytes, place.file);
    return place;
}

/* x; for a segment whose header does not continue the log, the header. */
static struct place place_of_end(const struct judge *judge)
{
    struct place place = place_of(judge, judge_address(judge));
    if (!judge->has_header) {
        place.offset = 0;
    }
    return place;
}

static const char *fault_at_end(const struct judge *judge)
{
    if (!judge->has_header) {
        return "the segment's header is not valid or does not continue the segment before";
    }
    switch (judge->walk.end) {
    case SCAN_UNREADABLE:
        return "the medium cannot read the group";
    case SCAN_STOPPED:
        return "the group is of a writer whose tail was cut";
    case SCAN_SEALED:
    case SCAN_INVALID:
        break;
    }
    return group_fault_text(judge->walk.fault);
}

/* The records that are known to be gone end where the next whole group begins. */
static weir_lsn last_lost(const struct judge *judge)
{
    const struct scan_evidence *evidence = &judge->evidence;
    weir_lsn next = judge->walk.chain.next_lsn;
    if (evidence->first_address != 0 && evidence->first_lsn > next) {
        return evidence->first_lsn - 1;
    }
    return judge->known_durable;
}

static int explain_rolled_back(const struct judge *judge, struct weir_error *why)
{
    if (judge->newer_epoch == 0) {
        struct place place = place_of(judge, judge->witness);
        return log_error(why, WEIR_E_ROLLED_BACK, place.file, place.offset,
                         "CONTROL expects LSN %" PRIu64 " to end at %s offset %" PRIu64
                         " with chain %08x and seed %08x, but the segments tell another history",
                         judge->control->witness_lsn, place.file, place.offset,
                         judge->control->witness_chain, judge->control->seed);
    }
    struct place place = place_of(judge, judge->newer_address);
    return log_error(why, WEIR_E_ROLLED_BACK, place.file, place.offset,
                     "%s offset %" PRIu64 " belongs to epoch %" PRIu64
                     ", but CONTROL knows only epochs up to %" PRIu64,
                     place.file, place.offset, judge->newer_epoch, judge->control->epoch);
}

static int explain_file(const struct judge *judge, struct weir_error *why)
{
    char file[FORMAT_NAME_BYTES];
    format_segment_name(judge->bad_ordinal, file);
    const struct inventory_segment *found = inventory_find(&judge->inventory, judge->bad_ordinal);
    if (found == NULL) {
        return log_error(why, WEIR_E_CUT_SHORT, file, UINT64_MAX,
                         "%s is missing; the log holds segments from %016" PRIx64 " on", file,
                         judge->control->first_ordinal);
    }
    return log_error(why, WEIR_E_CUT_SHORT, file, found->file_bytes,
                     "%s ends after %" PRIu64 " of its %" PRIu64 " bytes", file, found->file_bytes,
                     judge->control->segment_bytes);
}

static int explain_header(const struct judge *judge, struct weir_error *why)
{
    char file[FORMAT_NAME_BYTES];
    format_segment_name(judge->bad_ordinal, file);
    const struct inventory_segment *found = inventory_find(&judge->inventory, judge->bad_ordinal);
    const char *what = "does not continue the segment before";
    if (found != NULL && found->header_result == -EIO) {
        what = "cannot be read";
    } else if (found != NULL && found->header_result < 0) {
        what = "is not valid in either copy";
    }
    return log_error(why, WEIR_E_DAMAGED, file, 0,
                     "the header of %s %s, although later segments were written", file, what);
}

static int explain_lost(const struct judge *judge, int code, struct weir_error *why)
{
    struct place place = place_of_end(judge);
    weir_lsn from = judge->walk.chain.next_lsn;
    weir_lsn to = last_lost(judge);
    struct place evidence = place_of(judge, judge->evidence.durable_address);
    bool by_group = judge->known_durable > judge->control->witness_lsn;
    char witness[96];
    if (by_group) {
        snprintf(witness, sizeof witness, "%s offset %" PRIu64, evidence.file, evidence.offset);
    } else {
        snprintf(witness, sizeof witness, "CONTROL");
    }
    int rc = log_error(why, code, place.file, place.offset,
                       "%s offset %" PRIu64 ": %s, but LSN %" PRIu64
                       " was durable according to %s: some or all of LSNs %" PRIu64 " to %" PRIu64
                       " are damaged or missing",
                       place.file, place.offset, fault_at_end(judge), judge->known_durable, witness,
                       from, to);
    return log_error_range(why, rc, from, to);
}

static int explain_end(const struct judge *judge, int code, const char *expected,
                       struct weir_error *why)
{
    struct place place = place_of_end(judge);
    return log_error(why, code, place.file, place.offset,
                     "%s offset %" PRIu64 ", behind LSN %" PRIu64 ": %s, %s", place.file,
                     place.offset, judge->walk.chain.next_lsn - 1, fault_at_end(judge), expected);
}

static int explain_beyond(const struct judge *judge, const char *what, uint64_t address, int code,
                          struct weir_error *why)
{
    struct place place = place_of_end(judge);
    struct place other = place_of(judge, address);
    weir_lsn next = judge->walk.chain.next_lsn;
    int rc = log_error(
        why, code, place.file, place.offset,
        "the log ends at %s offset %" PRIu64 " (%s) behind LSN %" PRIu64 ", but %s %s"
        " offset %" PRIu64,
        place.file, place.offset, fault_at_end(judge), next - 1, what, other.file, other.offset);
    if (code != WEIR_E_HOLE) {
        return rc;
    }
    weir_lsn first = judge->evidence.first_lsn;
    return log_error_range(why, rc, next, first > next ? first - 1 : UINT64_MAX);
}

int judge_explain(const struct judge *judge, enum verdict verdict, struct weir_error *why)
{
    int code = verdict_error(verdict);
    switch (verdict) {
    case VERDICT_ROLLED_BACK:
        return explain_rolled_back(judge, why);
    case VERDICT_CUT_SHORT:
        return explain_file(judge, why);
    case VERDICT_HEADER_DAMAGED:
        return explain_header(judge, why);
    case VERDICT_LOST:
        return explain_lost(judge, code, why);
    case VERDICT_UNREADABLE:
        if (judge->input.later_durable) {
            return explain_lost(judge, code, why);
        }
        return explain_end(judge, code, "although it was durable", why);
    case VERDICT_WITNESS_DAMAGED:
        return explain_end(judge, code,
                           "although CONTROL says that it was durable; no record is missing", why);
    case VERDICT_HOLE:
        return explain_beyond(judge, "a valid group lies beyond the run-ahead limit at",
                              judge->evidence.newest_address, code, why);
    case VERDICT_NOT_CLEAN:
        return explain_beyond(judge, "it was closed and should end exactly at", judge->witness,
                              code, why);
    case VERDICT_OPEN:
        break;
    }
    return code;
}

int judge_explain_newer(const struct judge *judge, struct weir_error *why)
{
    char file[FORMAT_NAME_BYTES];
    format_segment_name(judge->bad_ordinal, file);
    return log_error(why, WEIR_E_NEWER_FORMAT, file, offsetof(struct format_segment, version),
                     "the header of %s is of a newer format version than %u", file, FORMAT_VERSION);
}
