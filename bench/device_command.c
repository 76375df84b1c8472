/* weir bench device: options, table, JSON. */
#include "bench/bench.h"
#include "bench/command.h"
#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/option.h"

#include "base/alloc.h"

#include <stdlib.h>

struct arguments {
    struct bench_device_options options;
    bool json;
    bool force;
};

enum { KEY_DIR = 256, KEY_SECONDS, KEY_SIZE, KEY_JSON, KEY_FORCE };

static const struct argp_option option_table[] = {
    {"dir", KEY_DIR, "D", 0, "A directory on the device", 0},
    {"seconds", KEY_SECONDS, "S", 0, "Length of each row (default 1)", 0},
    {"file-size", KEY_SIZE, "SIZE", 0, "Of the file that is overwritten (default 256MiB)", 0},
    {"json", KEY_JSON, NULL, 0, "One line of JSON", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    struct bench_device_options *options = &arguments->options;
    const uint64_t step = (uint64_t)4 << 20;
    switch (key) {
    case KEY_DIR:
        options->directory = value;
        return 0;
    case KEY_SECONDS:
        return option_seconds(state, value, &options->seconds);
    case KEY_SIZE: {
        error_t error =
            option_size(state, "--file-size", value, step, (uint64_t)1 << 40, &options->file_bytes);
        options->file_bytes = options->file_bytes / step * step;
        return error;
    }
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_FORCE:
        arguments->force = true;
        return 0;
    case ARGP_KEY_END:
        if (options->directory == NULL) {
            argp_error(state, "--dir is missing");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_json(const struct bench_device_result *result,
                       const struct bench_environment *environment)
{
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_begin(&json, "rows", '[');
    for (unsigned index = 0; index < result->count; index++) {
        const struct bench_device_row *row = &result->rows[index];
        bench_json_begin(&json, NULL, '{');
        bench_json_text(&json, "name", row->name);
        bench_json_text(&json, "title", row->title);
        bench_json_number(&json, "per_s", row->per_s);
        bench_json_number(&json, "bytes_per_s", row->bytes_per_s);
        bench_json_number(&json, "p50_us", row->p50_us);
        bench_json_number(&json, "p99_us", row->p99_us);
        bench_json_number(&json, "p999_us", row->p999_us);
        bench_json_end(&json, '}');
    }
    bench_json_end(&json, ']');
    bench_json_bool(&json, "interrupted", result->interrupted);
    bench_environment_json(environment, &json);
    bench_json_close(&json);
}

static void print_table(const struct bench_device_result *result,
                        const struct bench_environment *environment)
{
    bench_environment_print(environment);
    if (environment->memory) {
        (void)printf("durable  no (memory)\n");
    }
    (void)printf("\n%-52s %12s %10s %9s %9s %9s\n", "", "per second", "MB/s", "p50 us", "p99 us",
                 "p99.9 us");
    for (unsigned index = 0; index < result->count; index++) {
        const struct bench_device_row *row = &result->rows[index];
        (void)printf("%-52s %12.0f %10.1f %9.0f %9.0f %9.0f\n", row->title, row->per_s,
                     row->bytes_per_s / 1e6, row->p50_us, row->p99_us, row->p999_us);
    }
}

int bench_device_command(int argc, char **argv)
{
    static const struct argp parser = {.options = option_table,
                                       .parser = parse_option,
                                       .doc = "The raw loops that everything is compared with."};
    struct arguments arguments = {.options = BENCH_DEVICE_OPTIONS_INIT};
    static char name[] = "weir bench device";
    argv[0] = name;
    (void)argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (!bench_build_is_fit(arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    struct bench_device_result *result = base_alloc_zero(sizeof *result);
    if (result == NULL) {
        return BENCH_EXIT_REFUSED;
    }
    int rc = bench_device(&arguments.options, result);
    if (rc < 0) {
        (void)fprintf(stderr, "weir: bench device: %s\n", result->error);
    } else {
        struct bench_environment environment;
        bench_environment_read(&environment, arguments.options.directory);
        (arguments.json ? print_json : print_table)(result, &environment);
    }
    int code = bench_exit_code(rc, result->interrupted);
    base_free(result);
    return code;
}
