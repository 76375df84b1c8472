/*
 * How a report is measured.
 *
 * 1. Each step of the table (report_steps.c) runs as `weir WORDS --json`, in a process of its own.
 * 2. The document that it prints is read once for each number that is wanted of it: a member of the
 *    document itself, or of the row whose name ends with a text.
 * 3. The first appends are done once more at the end: what has changed by then was the machine.
 *
 * Failures: a benchmark that fails, or has not the number, is listed with the reason, and the rest
 * goes on. A signal ends the table; what is complete stays.
 */
#include "cli/report.h"
#include "cli/report_child.h"
#include "cli/report_steps.h"

#include "cli/signals.h"

#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- a number of a document ---- */

enum path { PATH_NAME, PATH_CASE, PATH_SYSTEM, PATH_MEMBER, PATH_ROW, PATHS };

/* What has been seen of the row that is being read, and what was found. */
struct search {
    const struct report_pick *pick;
    char name[128];
    bool other_system, has_member, found;
    double in_row, value;
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
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
        search->in_row = report_number(value);
    } else if ((value->paths & 1u << PATH_ROW) != 0 && search->pick->row != NULL) {
        end_row(search);
    }
    return 0;
}

/* Returns 0, or why there is no such number. */
static int find_number(const char *data, size_t size, const struct report_pick *pick,
                       double *ret_value)
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

static void make_words(const struct report *report, const struct report_step *step,
                       struct words *words)
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
    if ((step->takes & (REPORT_TAKES_MEDIUM | REPORT_IS_CRASH)) != 0) {
        add_word(words, "--medium");
        add_word(words, media[options->common.medium]);
    }
    if ((step->takes & (REPORT_TAKES_IO | REPORT_IS_CRASH)) != 0) {
        add_word(words, "--io");
        add_word(words, ios[options->common.io]);
    }
    if (options->common.allow_emulated_pmem && step->takes != 0) {
        add_word(words,
                 step->takes == REPORT_IS_CRASH ? "--allow-emulated-pmem" : "--emulated-pmem");
    }
}

static void miss(struct report *report, const struct report_step *step, const char *reason)
{
    if (report->missing_count < REPORT_MISSING_MAX) {
        struct report_missing *missing = &report->missing[report->missing_count++];
        snprintf(missing->command, sizeof missing->command, "weir %s",
                 report->options->quick ? step->quick : step->full);
        snprintf(missing->reason, sizeof missing->reason, "%s", reason);
    }
}

static void add_row(struct report *report, const struct report_step *step,
                    const struct report_pick *pick, double value)
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

static void take_numbers(struct report *report, const struct report_step *step,
                         const struct report_child *child)
{
    for (const struct report_pick *pick = step->picks; pick->name != NULL; pick++) {
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

static void run_step(struct report *report, const struct report_step *step)
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
        child.exit_code == CLI_OK || (child.exit_code == CLI_NO && step->takes == REPORT_IS_CRASH);
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
    for (size_t i = 0; i < report_step_count && !signals_interrupted(); i++) {
        progress_show("%zu of %zu: %s ...", i + 1, report_step_count, report_steps[i].what);
        run_step(report, &report_steps[i]);
        progress_clear();
    }
    report->interrupted = signals_interrupted();
}
