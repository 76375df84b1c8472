/*
 * What a report measures: a table of benchmarks, and which of their numbers it takes.
 *
 * 1. Each line of the table runs as `weir WORDS --json`, in a process of its own.
 * 2. The document that it prints is read once for each number that is wanted of it: a member of the
 *    document itself, or of the row whose name ends with a text.
 * 3. The first appends are done once more at the end: what has changed by then was the machine.
 *
 * Failures: a benchmark that fails, or has not the number, is listed with the reason, and the rest
 * goes on. A signal ends the table; what is complete stays.
 */
#include "cli/report.h"
#include "cli/report_child.h"

#include "cli/signals.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LESS true
#define MORE false

/* A number of a document. */
struct pick {
    const char *row; /* NULL: of the document itself; else of the row whose name ends with this */
    const char *member;
    const char *name; /* in the report */
    const char *title;
    const char *unit;
    bool less;
};

enum takes {
    TAKES_MEDIUM = 1,
    TAKES_IO = 2,
    TAKES_BOTH = 3,
    IS_CRASH = 4, /* takes both, and has other words for what is emulated */
};

struct step {
    const char *section;
    const char *what; /* is being measured */
    const char *full, *quick;
    unsigned takes; /* enum takes */
    const struct pick *picks;
};

/* ---- the table ---- */

static const struct pick device_picks[] = {
    {"overwrite-4k", "per_s", "device.overwrite-4k.per_s",
     "durable 4 KiB writes, one after the other", "per_s", MORE},
    {"overwrite-4k", "p50_us", "device.overwrite-4k.p50_us", "the same, median", "us", LESS},
    {"overwrite-4k", "p99_us", "device.overwrite-4k.p99_us", "the same, 99th percentile", "us",
     LESS},
    {"write-sequential", "bytes_per_s", "device.write-sequential.bytes_per_s", "sequential writes",
     "bytes_per_s", MORE},
    {"read-sequential", "bytes_per_s", "device.read-sequential.bytes_per_s", "sequential reads",
     "bytes_per_s", MORE},
    {"leader-8", "per_s", "device.leader-8.per_s", "an ideal leader for 8 writers", "per_s", MORE},
    {"leader-64", "per_s", "device.leader-64.per_s", "an ideal leader for 64 writers", "per_s",
     MORE},
    {0},
};

static const struct pick append_1_picks[] = {
    {NULL, "records_per_s", "append.each-1.records_per_s", "1 writer", "per_s", MORE},
    {NULL, "p50_us", "append.each-1.p50_us", "the same, median", "us", LESS},
    {NULL, "p99_us", "append.each-1.p99_us", "the same, 99th percentile", "us", LESS},
    {0},
};

static const struct pick append_8_picks[] = {
    {NULL, "records_per_s", "append.each-8.records_per_s", "8 writers", "per_s", MORE},
    {NULL, "p99_us", "append.each-8.p99_us", "the same, 99th percentile", "us", LESS},
    {0},
};

static const struct pick append_64_picks[] = {
    {NULL, "records_per_s", "append.each-64.records_per_s", "64 writers", "per_s", MORE},
    {NULL, "p99_us", "append.each-64.p99_us", "the same, 99th percentile", "us", LESS},
    {0},
};

static const struct pick outstanding_picks[] = {
    {NULL, "records_per_s", "append.outstanding-4096.records_per_s",
     "1 thread, 4096 records in flight", "per_s", MORE},
    {0},
};

static const struct pick append_none_picks[] = {
    {NULL, "records_per_s", "append.none.records_per_s", "records of 100 B", "per_s", MORE},
    {0},
};

static const struct pick append_none_1k_picks[] = {
    {NULL, "bytes_per_s", "append.none-1k.bytes_per_s", "records of 1 KiB", "bytes_per_s", MORE},
    {0},
};

static const struct pick scan_picks[] = {
    {NULL, "first_records_per_s", "scan.first.records_per_s",
     "a cursor that verifies every byte, 100 B", "per_s", MORE},
    {NULL, "verified_records_per_s", "scan.verified.records_per_s", "the same, verified before",
     "per_s", MORE},
    {0},
};

static const struct pick recover_picks[] = {
    {"open", "seconds", "recover.open.seconds", "opening the log after its writer was killed", "s",
     LESS},
    {"open-all", "bytes_per_s", "recover.open-all.bytes_per_s",
     "the same, everything verified: its scan", "bytes_per_s", MORE},
    {"verify", "bytes_per_s", "recover.verify.bytes_per_s", "weir verify", "bytes_per_s", MORE},
    {0},
};

static const struct pick crash_picks[] = {
    {NULL, "acknowledged", "crash.acknowledged", "kill -9 of 4 writers: acknowledged records", "",
     MORE},
    {NULL, "lost", "crash.lost", "of these, lost", "", LESS},
    {NULL, "median.total_s", "crash.open.seconds", "opening behind each, median", "s", LESS},
    {0},
};

static const struct pick put_picks[] = {
    {"1 writer", "records_per_s", "put.each-1.records_per_s", "durable puts, 1 writer", "per_s",
     MORE},
    {"8 writers", "records_per_s", "put.each-8.records_per_s", "8 writers", "per_s", MORE},
    {"64 writers", "records_per_s", "put.each-64.records_per_s", "64 writers", "per_s", MORE},
    {0},
};

static const struct pick get_picks[] = {
    {"1 thread", "ns", "get.ns", "a get of a random key", "ns", LESS},
    {"64 at once", "ns", "get.batch-64.ns", "the same, 64 keys a call", "ns", LESS},
    {NULL, "dependent_load_ns", "memory.dependent_load.ns",
     "a load of memory that waits for the one before", "ns", LESS},
    {0},
};

static const struct pick scan_keys_picks[] = {
    {"ascending inserts", "ns", "scan-keys.ascending.ns", "a row of a scan, inserted in order",
     "ns", LESS},
    {"random inserts", "ns", "scan-keys.random.ns", "the same, inserted at random", "ns", LESS},
    {0},
};

static const struct pick rebuild_picks[] = {
    {"no checkpoint, 1 thread", "open_s", "rebuild.threads-1.open_s",
     "opening after a kill, from the log alone", "s", LESS},
    {"no checkpoint, 2 threads", "open_s", "rebuild.threads-2.open_s", "the same, 2 threads", "s",
     LESS},
    {0},
};

static const struct pick reopen_picks[] = {
    {", checkpoint, 2 threads", "open_s", "reopen.threads-2.open_s",
     "the same, with a checkpoint, 2 threads", "s", LESS},
    {", checkpoint, cold, 2 threads", "open_s", "reopen.cold.threads-2.open_s",
     "the same, nothing in the page cache", "s", LESS},
    {0},
};

static const struct pick memory_picks[] = {
    {NULL, "index_bytes_per_key", "memory.index.bytes_per_key", "index, bytes for each key", "B",
     LESS},
    {0},
};

static const struct pick derived_picks[] = {
    {"events-index", "value", "derived.index.events_per_s", "into an index of one field", "per_s",
     MORE},
    {"events-view", "value", "derived.view.events_per_s", "into a view of counts and sums", "per_s",
     MORE},
    {"events-text", "value", "derived.text.events_per_s", "into full text", "per_s", MORE},
    {0},
};

static const struct pick again_picks[] = {
    {NULL, "records_per_s", "append.each-1-again.records_per_s",
     "1 writer, durable appends, once more", "per_s", MORE},
    {0},
};

#define APPENDS "The log: appends of 100 B, each acknowledged when it is durable"
#define NO_WAIT "The log: appends that do not wait, one flush at the end"
#define RECOVERY "Coming back"
#define ENGINE "The storage engine, 8-byte keys, values of 100 B"

#define SMALL " --segment-size 4MiB" /* made in a moment */

static const struct step steps[] = {
    {"The device by itself", "the device by itself", "bench device --seconds 0.5",
     "bench device --seconds 0.05", 0, device_picks},
    {APPENDS, "1 writer", "bench append --writers 1",
     "bench append --writers 1 --seconds 0.2" SMALL, TAKES_BOTH, append_1_picks},
    {APPENDS, "8 writers", "bench append --writers 8",
     "bench append --writers 8 --seconds 0.2" SMALL, TAKES_BOTH, append_8_picks},
    {APPENDS, "64 writers", "bench append --writers 64",
     "bench append --writers 64 --seconds 0.2" SMALL, TAKES_BOTH, append_64_picks},
    {APPENDS, "4096 records in flight", "bench append --outstanding 4096",
     "bench append --outstanding 4096 --seconds 0.1" SMALL, TAKES_BOTH, outstanding_picks},
    {NO_WAIT, "appends that do not wait", "bench append --durability none --records 5000000",
     "bench append --durability none --records 100000" SMALL, TAKES_BOTH, append_none_picks},
    {NO_WAIT, "larger appends that do not wait",
     "bench append --durability none --size 1k --records 1000000",
     "bench append --durability none --size 1k --records 20000" SMALL, TAKES_BOTH,
     append_none_1k_picks},
    {"Reading the log", "a cursor", "bench scan", "bench scan --records 100000 --seconds 0.1" SMALL,
     TAKES_MEDIUM, scan_picks},
    {RECOVERY, "recovery", "bench recover --bytes 512MiB",
     "bench recover --bytes 16MiB --rounds 1" SMALL, TAKES_BOTH, recover_picks},
    {RECOVERY, "crashes", "crash --kill --rounds 3", "crash --kill --rounds 1 --records 2000" SMALL,
     IS_CRASH, crash_picks},
    {ENGINE, "puts", "bench put --seconds 0.5 --records 100000",
     "bench put --seconds 0.1 --records 5000 --rounds 1" SMALL, TAKES_BOTH, put_picks},
    {ENGINE, "gets", "bench get --threads 1",
     "bench get --threads 1 --keys 20000 --seconds 0.1 --rounds 1" SMALL, TAKES_BOTH, get_picks},
    {ENGINE, "scans", "bench scan-keys", "bench scan-keys --keys 20000 --rounds 1" SMALL,
     TAKES_BOTH, scan_keys_picks},
    {ENGINE, "rebuilding", "bench rebuild --threads 1,2",
     "bench rebuild --threads 1,2 --records 20000 --rounds 1" SMALL, TAKES_BOTH, rebuild_picks},
    {ENGINE, "reopening", "bench reopen", "bench reopen --keys 20000 --rounds 1" SMALL, TAKES_BOTH,
     reopen_picks},
    {ENGINE, "memory", "bench memory", "bench memory --keys 20000 --rounds 1" SMALL, TAKES_BOTH,
     memory_picks},
    {"What is derived, JSON documents of about 200 B", "what is derived",
     "bench derived --documents 100000 --rounds 3",
     "bench derived --documents 5000 --rounds 1" SMALL, TAKES_BOTH, derived_picks},
    {"Has the machine kept its pace?", "1 writer, once more", "bench append --writers 1",
     "bench append --writers 1 --seconds 0.2" SMALL, TAKES_BOTH, again_picks},
};

#define STEPS (sizeof steps / sizeof steps[0])

/* ---- a number of a document ---- */

enum path { PATH_NAME, PATH_CASE, PATH_SYSTEM, PATH_MEMBER, PATH_ROW, PATHS };

/* What has been seen of the row that is being read, and what was found. */
struct search {
    const struct pick *pick;
    char name[128];
    bool other_system, has_member, found;
    double in_row, value;
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* A number as JSON writes it: what follows it in the document ends it. */
static double number_of(const struct base_json_value *value)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(value->size < 63 ? value->size : 63), value->data);
    return value->kind == BASE_JSON_NUMBER ? strtod(text, NULL) : (double)NAN;
}

static void end_row(struct search *search)
{
    if (search->has_member && !search->other_system && !search->found &&
        ends_with(search->name, search->pick->row)) {
        search->found = true;
        search->value = search->in_row;
    }
    search->name[0] = '\0';
    search->other_system = search->has_member = false;
}

static int note_value(void *context, const struct base_json_value *value)
{
    struct search *search = context;
    if ((value->paths & (1u << PATH_NAME | 1u << PATH_CASE)) != 0) {
        snprintf(search->name, sizeof search->name, "%.*s", (int)value->size, value->data);
    } else if ((value->paths & 1u << PATH_SYSTEM) != 0) {
        search->other_system = !base_json_equals(value->data, value->size, "weir", 4);
    } else if ((value->paths & 1u << PATH_MEMBER) != 0) {
        search->has_member = true;
        search->in_row = number_of(value);
    } else if ((value->paths & 1u << PATH_ROW) != 0 && search->pick->row != NULL) {
        end_row(search);
    }
    return 0;
}

/* Returns 0, or why there is no such number. */
static int find_number(const char *data, size_t size, const struct pick *pick, double *ret_value)
{
    char member[64];
    snprintf(member, sizeof member, "%s%s", pick->row != NULL ? "rows." : "", pick->member);
    const char *const texts[PATHS] = {"rows.name", "rows.case", "rows.system", member, "rows"};
    struct base_json_paths *paths;
    struct base_json_result result;
    struct search search = {.pick = pick};
    int rc = base_json_paths_create(texts, PATHS, BASE_JSON_ARRAYS, &paths);
    if (rc < 0) {
        return rc;
    }
    rc = base_json_scan(paths, data, size, note_value, &search, &result);
    base_json_paths_free(paths);
    if (rc < 0) {
        return rc;
    }
    if (pick->row == NULL) {
        search.found = search.has_member;
        search.value = search.in_row;
    }
    *ret_value = search.value;
    return search.found && isfinite(search.value) ? 0 : -ENODATA;
}

/* Where the text of a member goes. */
struct text_wanted {
    char *text;
    size_t size;
};

static int note_text(void *context, const struct base_json_value *value)
{
    const struct text_wanted *wanted = context;
    if (value->paths != 0 && value->kind == BASE_JSON_STRING) {
        snprintf(wanted->text, wanted->size, "%.*s", (int)value->size, value->data);
    }
    return 0;
}

/* Leaves ret_text as it is when there is no such member. */
static void find_text(const struct report_child *child, const char *member, char *ret_text,
                      size_t size)
{
    struct base_json_paths *paths;
    struct base_json_result result;
    struct text_wanted wanted = {ret_text, size};
    if (base_json_paths_create(&member, 1, 0, &paths) == 0) {
        (void)base_json_scan(paths, child->out, child->size, note_text, &wanted, &result);
        base_json_paths_free(paths);
    }
}

/* ---- one step ---- */

/* The words of a command, some of which lie in `line`. */
struct words {
    char line[160];
    const char *list[REPORT_CHILD_WORDS_MAX + 1];
    size_t count;
};

static void add_word(struct words *words, const char *word)
{
    if (words->count < REPORT_CHILD_WORDS_MAX) {
        words->list[words->count++] = word;
        words->list[words->count] = NULL;
    }
}

static void split_line(struct words *words, const char *line)
{
    char *rest = words->line;
    snprintf(words->line, sizeof words->line, "%s", line);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        add_word(words, word);
    }
}

static void make_words(const struct report *report, const struct step *step, struct words *words)
{
    static const char *const media[] = {"auto", "pmem", "direct", "mapped"};
    static const char *const ios[] = {"auto", "uring", "sync"};
    const struct report_options *options = report->options;
    split_line(words, options->quick ? step->quick : step->full);
    add_word(words, "--json");
    add_word(words, "--dir");
    add_word(words, report->directory);
    if (options->force) {
        add_word(words, "--force");
    }
    if ((step->takes & (TAKES_MEDIUM | IS_CRASH)) != 0) {
        add_word(words, "--medium");
        add_word(words, media[options->common.medium]);
    }
    if ((step->takes & (TAKES_IO | IS_CRASH)) != 0) {
        add_word(words, "--io");
        add_word(words, ios[options->common.io]);
    }
    if (options->common.allow_emulated_pmem && step->takes != 0) {
        add_word(words, step->takes == IS_CRASH ? "--allow-emulated-pmem" : "--emulated-pmem");
    }
}

static void miss(struct report *report, const struct step *step, const char *reason)
{
    if (report->missing_count < REPORT_MISSING_MAX) {
        struct report_missing *missing = &report->missing[report->missing_count++];
        snprintf(missing->command, sizeof missing->command, "weir %s",
                 report->options->quick ? step->quick : step->full);
        snprintf(missing->reason, sizeof missing->reason, "%s", reason);
    }
}

static void add_row(struct report *report, const struct step *step, const struct pick *pick,
                    double value)
{
    if (report->row_count == REPORT_ROWS_MAX) {
        miss(report, step, "the report has no room for more");
        return;
    }
    struct report_row *row = &report->rows[report->row_count++];
    snprintf(row->name, sizeof row->name, "%s", pick->name);
    snprintf(row->section, sizeof row->section, "%s", step->section);
    snprintf(row->title, sizeof row->title, "%s", pick->title);
    snprintf(row->unit, sizeof row->unit, "%s", pick->unit);
    row->less = pick->less;
    row->value = value;
}

static void take_numbers(struct report *report, const struct step *step,
                         const struct report_child *child)
{
    for (const struct pick *pick = step->picks; pick->name != NULL; pick++) {
        double value;
        char reason[128];
        int rc = find_number(child->out, child->size, pick, &value);
        if (rc == 0) {
            add_row(report, step, pick, value);
            report->lost = report->lost || (strcmp(pick->name, "crash.lost") == 0 && value > 0.0);
        } else {
            snprintf(reason, sizeof reason, "%s: %s", pick->title,
                     rc == -ENODATA ? "not measured here" : weir_error_text(rc));
            miss(report, step, reason);
        }
    }
}

static void run_step(struct report *report, const struct step *step)
{
    struct words words = {.count = 0};
    struct report_child child;
    char reason[128];
    make_words(report, step, &words);
    int rc = report_child_run(words.list, &child);
    if (rc < 0) {
        miss(report, step, weir_error_text(rc));
        return;
    }
    /* What lost something says so with CLI_NO, and has its numbers all the same. */
    bool usable =
        child.exit_code == CLI_OK || (child.exit_code == CLI_NO && step->takes == IS_CRASH);
    if (usable) {
        take_numbers(report, step, &child);
    } else if (!signals_interrupted()) {
        snprintf(reason, sizeof reason,
                 child.exit_code < 0 ? "ended by a signal" : "exit %d; what it said is above",
                 child.exit_code);
        find_text(&child, "error", reason, sizeof reason); /* where it is a command's own */
        miss(report, step, reason);
    }
    report_child_free(&child);
}

void report_measure(struct report *report)
{
    for (size_t i = 0; i < STEPS && !signals_interrupted(); i++) {
        progress_show("%zu of %zu: %s ...", i + 1, STEPS, steps[i].what);
        run_step(report, &steps[i]);
        progress_clear();
    }
    report->interrupted = signals_interrupted();
}
