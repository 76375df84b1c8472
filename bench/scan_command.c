/* weir bench scan: options, table, JSON. */
#include "bench/bench.h"
#include "bench/command.h"
#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/option.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_ONE_PER_GROUP 20000 /* each of them costs a flush to write */

enum view { VIEW_BOTH, VIEW_FIRST, VIEW_VERIFIED };

struct arguments {
    struct bench_scan_options options;
    enum view view;
    bool json;
    bool force;
};

enum {
    KEY_DIR = 256,
    KEY_SIZE,
    KEY_RECORDS,
    KEY_GROUP,
    KEY_BATCH,
    KEY_FIRST,
    KEY_VERIFIED,
    KEY_MEDIUM,
    KEY_SEGMENT,
    KEY_SECONDS,
    KEY_EMULATED,
    KEY_JSON,
    KEY_FORCE,
};

static const struct argp_option option_table[] = {
    {"dir", KEY_DIR, "D", 0, "Where to make the log (removed afterwards)", 0},
    {"size", KEY_SIZE, "N|A-B|mixed", 0, "Bytes of a record (default 100; mixed = 20-400)", 0},
    {"records", KEY_RECORDS, "N", 0, "How many (default 2000000; 20000 with one per group)", 0},
    {"group-size", KEY_GROUP, "one|full", 0, "Records of a group: one, or all that fit", 0},
    {"batch", KEY_BATCH, "N", 0, "For next_batch, 1 = next (default 64)", 0},
    {"first", KEY_FIRST, NULL, 0, "Report the pass that verifies every byte only", 0},
    {"verified", KEY_VERIFIED, NULL, 0, "Report passes over what is verified only", 0},
    {"seconds", KEY_SECONDS, "S", 0, "How long verified records are scanned (default 1)", 0},
    {"medium", KEY_MEDIUM, "auto|pmem|direct|mapped", 0, "Default auto", 0},
    {"segment-size", KEY_SEGMENT, "SIZE", 0, "Default 64MiB", 0},
    {"emulated-pmem", KEY_EMULATED, NULL, 0, "Accept persistent memory that is none", 0},
    {"json", KEY_JSON, NULL, 0, "One line of JSON", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {0},
};

static const struct option_word groups[] = {{"one", 1}, {"full", 0}, {NULL, 0}};

static error_t parse_value(int key, const char *value, struct argp_state *state)
{
    struct bench_scan_options *options = &((struct arguments *)state->input)->options;
    int chosen = 0;
    uint64_t number = 0;
    error_t error;
    switch (key) {
    case KEY_MEDIUM:
        return option_medium(state, value, &options->medium);
    case KEY_GROUP:
        error = option_choice(state, "--group-size", value, groups, &chosen);
        options->one_per_group = chosen != 0;
        return error;
    case KEY_BATCH:
        error = option_count(state, "--batch", value, 1, 1024, &number);
        options->batch = (int)number;
        return error;
    case KEY_SIZE:
        return option_record_size(state, value, &options->size_min, &options->size_max);
    case KEY_RECORDS:
        return option_count(state, "--records", value, 1, UINT64_MAX / 2, &options->records);
    case KEY_SECONDS:
        return option_seconds(state, value, &options->seconds);
    case KEY_SEGMENT:
        return option_segment_size(state, value, &options->segment_bytes);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_DIR:
        arguments->options.directory = value;
        return 0;
    case KEY_FIRST:
        arguments->view = VIEW_FIRST;
        return 0;
    case KEY_VERIFIED:
        arguments->view = VIEW_VERIFIED;
        return 0;
    case KEY_EMULATED:
        arguments->options.emulated_pmem = true;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_FORCE:
        arguments->force = true;
        return 0;
    case ARGP_KEY_END:
        if (arguments->options.directory == NULL) {
            argp_error(state, "--dir is missing");
        }
        if (arguments->options.records == 0) {
            struct bench_scan_options defaults = BENCH_SCAN_OPTIONS_INIT;
            arguments->options.records =
                arguments->options.one_per_group ? RECORDS_ONE_PER_GROUP : defaults.records;
        }
        return 0;
    default:
        return parse_value(key, value, state);
    }
}

static void print_json(const struct arguments *arguments, const struct bench_scan_result *result,
                       const struct bench_environment *environment)
{
    bool first = arguments->view == VIEW_FIRST;
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_number(&json, "records_per_s", first ? result->first_per_s : result->verified_per_s);
    bench_json_number(&json, "bytes_per_s",
                      first ? result->first_bytes_per_s : result->verified_bytes_per_s);
    bench_json_number(&json, "first_records_per_s", result->first_per_s);
    bench_json_number(&json, "verified_records_per_s", result->verified_per_s);
    bench_json_number(&json, "setup_s", result->setup_s);
    bench_json_number(&json, "open_s", result->open_s);
    bench_json_text(&json, "medium", result->medium);
    bench_json_text(&json, "io", result->io);
    bench_json_count(&json, "records", result->records);
    bench_json_count(&json, "bytes", result->bytes);
    bench_json_count(&json, "size_min", arguments->options.size_min);
    bench_json_count(&json, "size_max", arguments->options.size_max);
    bench_json_text(&json, "group_size", arguments->options.one_per_group ? "one" : "full");
    bench_json_count(&json, "batch", (uint64_t)arguments->options.batch);
    bench_json_count(&json, "passes", result->passes);
    bench_json_bool(&json, "interrupted", result->interrupted);
    bench_environment_json(environment, &json);
    bench_json_close(&json);
}

static void print_table(const struct arguments *arguments, const struct bench_scan_result *result,
                        const struct bench_environment *environment)
{
    bench_environment_print(environment);
    (void)printf("medium   %s, io %s\n", result->medium, result->io);
    (void)printf("load     %llu records of %zu-%zu B, %s per group, batches of %d\n\n",
                 (unsigned long long)result->records, arguments->options.size_min,
                 arguments->options.size_max, arguments->options.one_per_group ? "one" : "many",
                 arguments->options.batch);
    if (arguments->view != VIEW_VERIFIED) {
        (void)printf("%-36s %14.0f records/s %10.1f MB/s\n", "first pass, every byte verified",
                     result->first_per_s, result->first_bytes_per_s / 1e6);
    }
    if (arguments->view != VIEW_FIRST) {
        (void)printf("%-36s %14.0f records/s %10.1f MB/s  (median of %u)\n", "already verified",
                     result->verified_per_s, result->verified_bytes_per_s / 1e6, result->passes);
    }
    (void)printf("%-36s %14.3f s\n", "open", result->open_s);
    (void)printf("%-36s %14.3f s\n", "setup", result->setup_s);
}

int bench_scan_command(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Reads a log with a cursor: reopened, with its files in the page cache.",
    };
    struct arguments arguments = {.options = BENCH_SCAN_OPTIONS_INIT};
    arguments.options.records = 0;
    static char name[] = "weir bench scan";
    argv[0] = name;
    (void)argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (!bench_build_is_fit(arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    struct bench_scan_result result;
    int rc = bench_scan(&arguments.options, &result);
    if (rc < 0) {
        (void)fprintf(stderr, "weir: bench scan: %s\n%s\n", result.error, weir_error_advice(rc));
    } else {
        struct bench_environment environment;
        bench_environment_read(&environment, arguments.options.directory);
        (arguments.json ? print_json : print_table)(&arguments, &result, &environment);
    }
    return bench_exit_code(rc, result.interrupted);
}
