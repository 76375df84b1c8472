/*
 * Verification: reads every retained byte of a log from its files, changing nothing, also where
 * opening refuses.
 *
 * Happy path: medium; LOCK shared, so that no writer begins meanwhile; CONTROL; the inventory of
 * segments; where recovery would put the tail; then every segment, group by group (verify_walk.c);
 * what lies beside it (verify_beside.c).
 *
 * Failure modes: all that is wrong with the log is a finding, and reading goes on behind it.
 * Without a usable CONTROL the segment headers stand in for it: they carry uuid and seeds. Beside a
 * live writer, groups within W of the end that are not valid are the tail that moves.
 *
 * Invariant: where opening would refuse, the report is not ok. If the walk itself met no damage
 * that costs records, recovery's own refusal is reported as the finding.
 */
#include "wal/verify.h"

#include "base/clock.h"
#include "base/text.h"
#include "wal/finding.h"
#include "wal/lock.h"
#include "wal/log.h"
#include "wal/medium_select.h"
#include "wal/open.h"
#include "wal/options.h"
#include "wal/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- findings ---- */

void verify_tell(struct verify *verify, const struct weir_finding *given, bool costs)
{
    struct weir_finding finding = *given;
    finding.code = finding_code(given->code);
    finding.advice = weir_finding_advice(given->code);
    finding.note = !costs;
    verify->report->findings++;
    if (costs) {
        verify->report->ok = false;
    } else {
        verify->report->notes++;
    }
    if (verify->stopped == 0 && verify->fn != NULL) {
        verify->stopped = verify->fn(verify->context, &finding);
    }
}

static void append_lsns(struct base_text *text, const struct weir_finding *finding, bool costs)
{
    if (finding->from_lsn == WEIR_LSN_NONE) {
        bool aside = !costs && finding->offset == UINT64_MAX;
        base_text_append(text, aside ? "" : "; by itself it costs no record");
    } else if (finding->to_lsn == UINT64_MAX) {
        base_text_append_format(text, ": LSN %" PRIu64 " and all behind it are lost",
                                finding->from_lsn);
    } else if (finding->to_lsn == finding->from_lsn) {
        base_text_append_format(text, ": LSN %" PRIu64 " is lost", finding->from_lsn);
    } else {
        base_text_append_format(text, ": LSNs %" PRIu64 " to %" PRIu64 " are lost",
                                finding->from_lsn, finding->to_lsn);
    }
}

void verify_report(struct verify *verify, const struct weir_finding *given, bool costs)
{
    struct weir_finding finding = *given;
    struct base_text text;
    base_text_init(&text, finding.text, sizeof finding.text);
    base_text_append(&text, given->file);
    if (given->offset != UINT64_MAX) {
        base_text_append_format(&text, ", offset %" PRIu64, given->offset);
    }
    base_text_append_format(&text, ": %s", given->text);
    append_lsns(&text, given, costs);
    verify_tell(verify, &finding, costs);
}

static struct weir_finding new_finding(const char *code, const char *file, uint64_t offset)
{
    struct weir_finding finding = {.code = code, .offset = offset};
    snprintf(finding.file, sizeof finding.file, "%s", file);
    return finding;
}

struct weir_finding verify_finding(const char *code, uint64_t ordinal, uint64_t offset,
                                   const char *format, ...)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    struct weir_finding finding = new_finding(code, name, offset);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding.text, sizeof finding.text, format, arguments);
    va_end(arguments);
    return finding;
}

/* ---- CONTROL ---- */

static void report_control(struct verify *verify, const char *code, uint64_t offset, bool costs,
                           const char *text)
{
    struct weir_finding finding = new_finding(code, CONTROL_NAME, offset);
    snprintf(finding.text, sizeof finding.text, "%s", text);
    verify_report(verify, &finding, costs);
}

static void report_damaged_copies(struct verify *verify, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < FORMAT_CONTROL_COPIES; i++) {
        struct control copy;
        size_t offset = i * FORMAT_BLOCK;
        if (offset + FORMAT_BLOCK > size || control_decode(bytes + offset, &copy) < 0) {
            report_control(
                verify, "control-copy", offset, false,
                "one of the four copies is not valid, as a crash during an update leaves it, "
                "or damage; the others are enough");
        }
    }
}

static int read_control(struct verify *verify)
{
    static const char unusable[] = "it has no two equal valid copies, so the log cannot be opened";
    uint8_t bytes[FORMAT_CONTROL_BYTES];
    struct weir_file *file;
    int rc = verify->medium->ops->open(verify->medium, CONTROL_NAME, WEIR_FILE_READ, &file);
    if (rc == -ENOENT) {
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    size_t size = 0;
    int valid = 0;
    rc = verify->medium->ops->read(file, 0, bytes, sizeof bytes, &size);
    verify->medium->ops->close(file);
    if (scan_is_medium_error(rc)) {
        report_control(verify, "control", 0, true, "the medium cannot read it");
        return 0;
    }
    rc = rc < 0 ? rc : control_choose(bytes, size, &verify->control, &valid);
    if (rc == WEIR_E_NEWER_FORMAT) {
        return control_load(verify->medium, &verify->control, verify->why); /* says which one */
    }
    if (rc == WEIR_E_CONTROL || rc == WEIR_E_DAMAGED) {
        report_control(verify, "control", 0, true, unusable);
        return 0;
    }
    if (rc == 0) {
        verify->has_control = true;
        report_damaged_copies(verify, bytes, size);
    }
    return rc;
}

/* ---- the directory ---- */

static int foreign_name(void *context, const char *name)
{
    struct verify *verify = context;
    static const char *const known[] = {CONTROL_NAME, CONTROL_NEW_NAME, LOCK_NAME,
                                        FORMAT_SALVAGE_NAME, FORMAT_COMPACT_SPARE_NAME};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i]) == 0) {
            return 0;
        }
    }
    struct weir_finding finding = new_finding("foreign-file", name, UINT64_MAX);
    snprintf(finding.text, sizeof finding.text, "the file does not belong to the log");
    verify_report(verify, &finding, false);
    return 0;
}

static const struct inventory_segment *first_with_header(const struct inventory *inventory)
{
    for (uint32_t i = 0; i < inventory->count; i++) {
        if (inventory->segments[i].header_result == 0) {
            return &inventory->segments[i];
        }
    }
    return NULL;
}

/* The segment size that the first group of a segment proves: its address holds it. 0: none does. */
static uint64_t size_from_group(struct verify *verify, const struct inventory_segment *segment)
{
    struct scan scan;
    uint64_t bytes = 0;
    const struct segment_header *header = &segment->header;
    uint32_t uuid_seed = group_uuid_seed(header->uuid);
    if (scan_init(&scan, verify->medium, WEIR_SEGMENT_BYTES_MAX, header->block_bytes, uuid_seed) <
        0) {
        return 0;
    }
    const uint8_t *group;
    if (scan_open(&scan, segment->ordinal) == 0 &&
        scan_bytes(&scan, FORMAT_SEGMENT_HEADER_BYTES, FORMAT_GROUP_HEADER_BYTES, &group) == 0) {
        struct group_header found;
        uint64_t address = le64_load(&((const struct format_group *)group)->address);
        uint64_t size = (address - FORMAT_SEGMENT_HEADER_BYTES) / segment->ordinal;
        bool possible = size >= WEIR_SEGMENT_BYTES_MIN && size <= WEIR_SEGMENT_BYTES_MAX &&
                        (size & (size - 1)) == 0;
        uint32_t seed = header->compacted ? header->end_seed : header->seed;
        if (possible && group_decode(group, segment->ordinal * size + FORMAT_SEGMENT_HEADER_BYTES,
                                     seed, uuid_seed, size, &found) == GROUP_OK) {
            bytes = size;
        }
    }
    scan_free(&scan);
    return bytes;
}

/* How long the segments were made: as a group says; else as long as the longest, which is whole, or
 * was until it was cut short. */
static uint64_t find_segment_bytes(struct verify *verify)
{
    const struct inventory *inventory = &verify->inventory;
    uint64_t longest = 0;
    for (uint32_t i = 0; i < inventory->count; i++) {
        const struct inventory_segment *segment = &inventory->segments[i];
        uint64_t bytes = segment->header_result == 0 ? size_from_group(verify, segment) : 0;
        if (bytes > 0) {
            return bytes;
        }
        longest = segment->file_bytes > longest ? segment->file_bytes : longest;
    }
    uint64_t bytes = WEIR_SEGMENT_BYTES_MIN;
    while (bytes < longest && bytes < WEIR_SEGMENT_BYTES_MAX) {
        bytes *= 2;
    }
    return bytes;
}

/* Is all of a compacted segment's run still there, as segments that are older than it? Then nothing
 * says that it ever counted. */
static bool run_is_there(const struct inventory *inventory, const struct inventory_segment *made)
{
    uint64_t place = inventory_first(made);
    while (place <= inventory_last(made)) {
        const struct inventory_segment *old = inventory_find(inventory, place);
        uint64_t next = old != NULL && old->header_result == 0 ? place + 1 : 0;
        for (uint32_t i = 0; next == 0 && i < inventory->count; i++) {
            old = &inventory->segments[i];
            bool fits = format_is_compacted(old->ordinal) && old->ordinal < made->ordinal &&
                        old->header_result == 0 && inventory_first(old) == place &&
                        inventory_last(old) <= inventory_last(made);
            next = fits ? inventory_last(old) + 1 : 0;
        }
        if (next == 0) {
            return false;
        }
        place = next;
    }
    return true;
}

/* Without CONTROL the compacted segments count that stand for something which is not there. */
static void compactions_from_headers(struct verify *verify)
{
    struct control *control = &verify->control;
    for (uint32_t i = 0; i < verify->inventory.count; i++) {
        struct inventory_segment *segment = &verify->inventory.segments[i];
        if (!format_is_compacted(segment->ordinal) || segment->header_result != 0) {
            continue;
        }
        if (run_is_there(&verify->inventory, segment)) {
            segment->header_result = WEIR_E_NOT_A_LOG;
            continue;
        }
        control->compact_next = segment->ordinal - FORMAT_COMPACTED_ORDINAL + 1;
        if (segment->header.horizon > control->horizon) {
            control->horizon = segment->header.horizon;
        }
        if (inventory_first(segment) < control->first_ordinal) {
            control->first_ordinal = inventory_first(segment);
            control->first_lsn = segment->header.base_lsn;
        }
    }
}

/* The segment headers stand in for CONTROL: uuid, blocks, where the log begins. */
static bool control_from_headers(struct verify *verify)
{
    const struct inventory_segment *first = first_with_header(&verify->inventory);
    if (first == NULL) {
        return false;
    }
    struct control *control = &verify->control;
    memcpy(control->uuid, first->header.uuid, sizeof control->uuid);
    control->segment_bytes = control->run_ahead_bytes = find_segment_bytes(verify);
    control->block_bytes = first->header.block_bytes;
    control->first_ordinal = inventory_first(first);
    control->first_lsn = first->header.base_lsn;
    control->epoch = UINT64_MAX; /* none is too new */
    compactions_from_headers(verify);
    return true;
}

/* Headers are of a log, and none is of CONTROL's. */
static bool control_is_foreign(const struct verify *verify, const struct inventory *any)
{
    return verify->has_control && first_with_header(&verify->inventory) == NULL &&
           first_with_header(any) != NULL;
}

/* CONTROL of another log was put beside the segments: they go by their headers then. */
static int check_control_belongs(struct verify *verify)
{
    struct inventory any;
    int rc = inventory_read(verify->medium, NULL, NULL, NULL, &any);
    if (rc < 0) {
        return rc;
    }
    if (!control_is_foreign(verify, &any)) {
        inventory_free(&any);
        return 0;
    }
    report_control(verify, "control", 0, true,
                   "it belongs to another log than the segments beside it");
    inventory_free(&verify->inventory);
    verify->inventory = any;
    verify->has_control = false;
    return verify->stopped;
}

/* Segments of another log, or of none, do not count without a CONTROL that names the log. */
static int read_directory(struct verify *verify)
{
    const uint8_t *uuid = verify->has_control ? verify->control.uuid : NULL;
    int rc = inventory_read(verify->medium, uuid, foreign_name, verify, &verify->inventory);
    if (rc == 0 && verify->has_control && first_with_header(&verify->inventory) == NULL) {
        rc = check_control_belongs(verify);
    }
    for (uint32_t i = 0; rc == 0 && i < verify->inventory.count; i++) {
        if (verify->inventory.segments[i].header_result == WEIR_E_NEWER_FORMAT) {
            char name[FORMAT_NAME_BYTES];
            format_segment_name(verify->inventory.segments[i].ordinal, name);
            rc = log_error(verify->why, WEIR_E_NEWER_FORMAT, name, 12,
                           "the header of %s is of a newer format version than %u", name,
                           FORMAT_VERSION);
        }
    }
    return rc;
}

/* ---- where the log ends ---- */

static void report_refusal(struct verify *verify, const struct weir_error *why)
{
    static const struct {
        int error;
        const char *code;
    } codes[] = {
        {WEIR_E_LOST, "lost"},
        {WEIR_E_HOLE, "hole"},
        {WEIR_E_ROLLED_BACK, "epoch"},
        {WEIR_E_CUT_SHORT, "cut-short"},
    };
    struct weir_finding finding = new_finding("damaged-end", why->file, why->offset);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].error == why->code) {
            finding.code = codes[i].code;
        }
    }
    finding.from_lsn = why->from_lsn;
    finding.to_lsn = why->to_lsn;
    snprintf(finding.text, sizeof finding.text, "%s", why->text);
    verify_tell(verify, &finding, true);
}

/* Asks recovery. 0; an error of ours in *why is no failure; -errno. */
static int find_tail(struct verify *verify, struct weir_error *why)
{
    struct recovery found;
    int rc = recover_judge(verify->medium, &verify->control, &found, why);
    if (rc == 0) {
        verify->tail_known = true;
        verify->tail_address = found.tail.address;
        verify->report->cut_bytes = found.cut_bytes;
        recover_free(&found);
        return 0;
    }
    return rc <= WEIR_E_NOT_A_LOG ? 0 : rc;
}

static int verify_segments(struct verify *verify)
{
    struct weir_error why = WEIR_ERROR_INIT;
    const struct control *control = &verify->control;
    int rc = inventory_resolve(&verify->inventory, control);
    if (rc == 0 && verify->has_control && !verify->live_writer) {
        rc = find_tail(verify, &why);
    }
    rc = rc < 0 ? rc
                : scan_init(&verify->scan, verify->medium, control->segment_bytes,
                            control->block_bytes, group_uuid_seed(control->uuid));
    rc = rc < 0 ? rc : verify_walk(verify);
    verify->report->scanned_bytes = verify->scan.read_bytes;
    if (rc == 0 && why.code != 0 && verify->report->ok) {
        report_refusal(verify, &why);
    }
    return rc != 0 ? rc : verify->stopped;
}

/* ---- the whole ---- */

/* No CONTROL: an interrupted creation is an empty log; with segments that were used, CONTROL is
 * gone; anything else, and nothing at all, is no log. */
static int verify_without_control(struct verify *verify)
{
    int rc = create_check_unfinished(verify->medium, verify->why);
    if (rc < 0) {
        return rc;
    }
    if (!control_from_headers(verify)) {
        bool any = verify->report->findings > 0 && !verify->report->ok;
        rc = any ? 0 : create_check_begun(verify->medium, verify->why);
        if (rc == WEIR_E_CONTROL) {
            report_control(verify, "control", UINT64_MAX, true,
                           "it is missing, and no segment's header is valid: nothing says what "
                           "lies in the other files");
            rc = 0;
        }
        return rc;
    }
    verify->report->open_begin = verify->control.first_lsn > 1;
    if (verify->report->ok) { /* no finding about CONTROL yet: it is not there */
        report_control(verify, "control", UINT64_MAX, true,
                       "it is missing, although there are segments that were written");
    }
    return verify_segments(verify);
}

int verify_log(struct verify *verify)
{
    int rc = read_control(verify);
    rc = rc < 0 ? rc : read_directory(verify);
    if (rc == 0) {
        rc = verify->has_control ? verify_segments(verify) : verify_without_control(verify);
    }
    struct weir_verify_report *report = verify->report;
    if (report->records > 0) {
        report->earliest = verify->control.first_lsn;
        report->latest = verify->latest;
    }
    return rc != 0 ? rc : verify->stopped;
}

void verify_free(struct verify *verify)
{
    scan_free(&verify->scan);
    scan_directory_free(&verify->directory);
    inventory_free(&verify->inventory);
}

static int take_lock(struct verify *verify, struct weir_file **ret_lock)
{
    int rc = lock_take(verify->medium, WEIR_LOCK_SHARED, 0, ret_lock, NULL);
    verify->live_writer = rc == WEIR_E_LOCKED;
    return rc == WEIR_E_LOCKED || rc == -ENOENT ? 0 : rc;
}

static int verify_medium(struct verify *verify)
{
    struct weir_file *lock = NULL;
    int rc = take_lock(verify, &lock);
    if (rc == 0) {
        rc = verify_log(verify);
    }
    rc = rc == 0 ? verify_beside(verify) : rc;
    lock_drop(verify->medium, &lock);
    verify_free(verify);
    return rc;
}

static int verify_directory(const char *directory, const struct weir_log_options *given,
                            struct verify *verify)
{
    struct weir_log_options options = {0};
    int rc = options_take(given, &options, verify->why);
    if (rc < 0) {
        if (options.custom_medium != NULL) {
            options.custom_medium->ops->destroy(options.custom_medium);
        }
        return rc;
    }
    options.flags = (options.flags & WEIR_LOG_ALLOW_EMULATED_PMEM) | WEIR_LOG_READ_ONLY;
    rc = medium_select(directory, &options, &verify->medium, verify->why);
    if (rc == 0) {
        rc = verify_medium(verify);
        verify->medium->ops->destroy(verify->medium);
    }
    return rc;
}

int weir_verify(const char *directory, const struct weir_log_options *options,
                int (*fn)(void *context, const struct weir_finding *finding), void *context,
                struct weir_verify_report *ret_report, struct weir_error *ret_error)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    if (ret_report == NULL || ret_report->size < sizeof *ret_report ||
        (ret_error != NULL && ret_error->size < sizeof *ret_error)) {
        return -EINVAL;
    }
    struct weir_verify_report report = {.size = sizeof report, .ok = true};
    struct verify verify = {.fn = fn, .context = context, .report = &report, .why = ret_error};
    int rc = verify_directory(directory, options, &verify);
    log_error_explain(ret_error, rc, directory);
    if (verify.medium == NULL) {
        return rc; /* nothing was read */
    }
    report.seconds = (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
    *ret_report = report;
    return rc;
}
