/* weir bench recover: options, table, JSON. */
#include "bench/bench.h"
#include "bench/command.h"
#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/option.h"

#include "base/alloc.h"

#include <stdlib.h>

#define BYTES_MIN ((uint64_t)4 << 20)
#define BYTES_MAX ((uint64_t)1 << 44)

struct arguments {
    struct bench_recover_options options;
    bool json;
    bool force;
};

enum {
    KEY_DIR = 256,
    KEY_BYTES,
    KEY_SIZE,
    KEY_ROUNDS,
    KEY_COLD,
    KEY_MEDIUM,
    KEY_IO,
    KEY_SEGMENT,
    KEY_EMULATED,
    KEY_JSON,
    KEY_FORCE,
};

static const struct argp_option option_table[] = {
    {"dir", KEY_DIR, "D", 0, "Where to make the log (removed afterwards)", 0},
    {"bytes", KEY_BYTES, "SIZE", 0, "How long the log becomes (default 1GiB)", 0},
    {"size", KEY_SIZE, "N|A-B|mixed", 0, "Bytes of a record (default 100; mixed = 20-400)", 0},
    {"rounds", KEY_ROUNDS, "N", 0, "How often each row is measured, in turns (default 3)", 0},
    {"cold", KEY_COLD, NULL, 0,
     "Drop the files from the page cache before each row, as "
     "after a restart",
     0},
    {"medium", KEY_MEDIUM, "auto|pmem|direct|mapped", 0, "Default auto", 0},
    {"io", KEY_IO, "auto|uring|sync", 0, "Default auto", 0},
    {"segment-size", KEY_SEGMENT, "SIZE", 0, "Default 64MiB", 0},
    {"emulated-pmem", KEY_EMULATED, NULL, 0, "Accept persistent memory that is none", 0},
    {"json", KEY_JSON, NULL, 0, "One line of JSON", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {0},
};

static error_t parse_value(int key, const char *value, struct argp_state *state)
{
    struct bench_recover_options *options = &((struct arguments *)state->input)->options;
    uint64_t number = 0;
    error_t error;
    switch (key) {
    case KEY_BYTES:
        return option_size(state, "--bytes", value, BYTES_MIN, BYTES_MAX, &options->bytes);
    case KEY_SIZE:
        return option_record_size(state, value, &options->size_min, &options->size_max);
    case KEY_ROUNDS:
        error = option_count(state, "--rounds", value, 1, 101, &number);
        options->rounds = (unsigned)number;
        return error;
    case KEY_MEDIUM:
        return option_medium(state, value, &options->medium);
    case KEY_IO:
        return option_io(state, value, &options->io);
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
    case KEY_COLD:
        arguments->options.cold = true;
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
        return 0;
    default:
        return parse_value(key, value, state);
    }
}

static void print_json(const struct arguments *arguments, const struct bench_recover_result *result,
                       const struct bench_environment *environment)
{
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_begin(&json, "rows", '[');
    for (unsigned index = 0; index < result->count; index++) {
        const struct bench_recover_row *row = &result->rows[index];
        bench_json_begin(&json, NULL, '{');
        bench_json_text(&json, "name", row->name);
        bench_json_text(&json, "title", row->title);
        bench_json_number(&json, "seconds", row->seconds);
        bench_json_number(&json, "cpu_s", row->cpu_s);
        bench_json_number(&json, "scan_s", row->scan_s);
        bench_json_number(&json, "repair_s", row->repair_s);
        bench_json_count(&json, "bytes", row->bytes);
        bench_json_count(&json, "records", row->records);
        bench_json_number(&json, "bytes_per_s", row->bytes_per_s);
        bench_json_number(&json, "records_per_s", row->records_per_s);
        bench_json_number(&json, "ratio", row->ratio);
        bench_json_text(&json, "against", row->against);
        bench_json_end(&json, '}');
    }
    bench_json_end(&json, ']');
    bench_json_text(&json, "cache", arguments->options.cold ? "cold" : "warm");
    bench_json_count(&json, "log_bytes", result->log_bytes);
    bench_json_count(&json, "records", result->records);
    bench_json_count(&json, "segments", result->segments);
    bench_json_count(&json, "size_min", arguments->options.size_min);
    bench_json_count(&json, "size_max", arguments->options.size_max);
    bench_json_count(&json, "rounds", arguments->options.rounds);
    bench_json_number(&json, "setup_s", result->setup_s);
    bench_json_text(&json, "medium", result->medium);
    bench_json_text(&json, "io", result->io);
    bench_json_bool(&json, "durable", result->durable);
    bench_json_bool(&json, "interrupted", result->interrupted);
    bench_environment_json(environment, &json);
    bench_json_close(&json);
}

static void print_table(const struct arguments *arguments,
                        const struct bench_recover_result *result,
                        const struct bench_environment *environment)
{
    bench_environment_print(environment);
    (void)printf("medium   %s, io %s%s\n", result->medium, result->io,
                 result->durable ? "" : ", durable: no");
    (void)printf(
        "log      %.1f MB in %llu segments, %llu records of %zu-%zu B, its writer killed\n",
        (double)result->log_bytes / 1e6, (unsigned long long)result->segments,
        (unsigned long long)result->records, arguments->options.size_min,
        arguments->options.size_max);
    (void)printf("files    %s before each row; medians of %u; an open's rate is its scan's\n\n",
                 arguments->options.cold ? "dropped from the page cache"
                                         : "read into the page cache",
                 arguments->options.rounds);
    (void)printf("%-34s %9s %9s %9s %9s %10s %10s %9s %8s\n", "", "seconds", "cpu s", "scan s",
                 "repair s", "MB", "MB/s", "M rec/s", "of raw");
    for (unsigned index = 0; index < result->count; index++) {
        const struct bench_recover_row *row = &result->rows[index];
        (void)printf("%-34s %9.4f %9.4f", row->title, row->seconds, row->cpu_s);
        if (row->scan_s > 0.0) {
            (void)printf(" %9.4f %9.4f", row->scan_s, row->repair_s);
        } else {
            (void)printf(" %9s %9s", "", "");
        }
        (void)printf(" %10.1f %10.1f", (double)row->bytes / 1e6, row->bytes_per_s / 1e6);
        if (row->records > 0) {
            (void)printf(" %9.2f %8.2f %s", row->records_per_s / 1e6, row->ratio, row->against);
        }
        (void)printf("\n");
    }
    (void)printf("%-34s %9.4f\n", "setup: writing the log", result->setup_s);
}

int bench_recover_command(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Writes a log, kills its writer, and measures how long opening, verifying and "
               "reading take, beside raw reads of the same files.",
    };
    struct arguments arguments = {.options = BENCH_RECOVER_OPTIONS_INIT};
    static char name[] = "weir bench recover";
    argv[0] = name;
    (void)argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (!bench_build_is_fit(arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    struct bench_recover_result *result = base_alloc_zero(sizeof *result);
    if (result == NULL) {
        return BENCH_EXIT_REFUSED;
    }
    int rc = bench_recover(&arguments.options, result);
    if (rc < 0) {
        (void)fprintf(stderr, "weir: bench recover: %s\n%s\n", result->error,
                      weir_error_advice(rc));
    } else {
        struct bench_environment environment;
        bench_environment_read(&environment, arguments.options.directory);
        (arguments.json ? print_json : print_table)(&arguments, result, &environment);
    }
    int code = bench_exit_code(rc, result->interrupted);
    base_free(result);
    return code;
}
