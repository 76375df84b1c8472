/* weir bench append: options, table, JSON. */
#include "bench/bench.h"
#include "bench/command.h"
#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/option.h"

#include <stdlib.h>
#include <string.h>

struct arguments {
    struct bench_append_options options;
    bool json;
    bool force;
};

enum {
    KEY_DIR = 256,
    KEY_SIZE,
    KEY_WRITERS,
    KEY_OUTSTANDING,
    KEY_DURABILITY,
    KEY_MEDIUM,
    KEY_IO,
    KEY_BATCH,
    KEY_SECONDS,
    KEY_RECORDS,
    KEY_WITNESS,
    KEY_SEGMENT,
    KEY_COLD,
    KEY_OPEN_LOOP,
    KEY_EVENT_LOOP,
    KEY_EMULATED,
    KEY_JSON,
    KEY_FORCE,
};

static const struct argp_option option_table[] = {
    {"dir", KEY_DIR, "D", 0, "Where to make the log (removed afterwards)", 0},
    {"size", KEY_SIZE, "N|A-B|mixed", 0, "Bytes of a record (default 100; mixed = 20-400)", 0},
    {"writers", KEY_WRITERS, "N", 0, "Blocking threads (default 1)", 0},
    {"outstanding", KEY_OUTSTANDING, "N", 0, "Records one thread keeps in flight", 0},
    {"durability", KEY_DURABILITY, "each|group|none", 0, "What each append achieves (each)", 0},
    {"medium", KEY_MEDIUM, "auto|pmem|direct|mapped", 0, "Default auto", 0},
    {"io", KEY_IO, "auto|uring|sync", 0, "Default auto", 0},
    {"batch", KEY_BATCH, "N", 0, "Records of one append (default 1)", 0},
    {"seconds", KEY_SECONDS, "S", 0, "How long (default 2)", 0},
    {"records", KEY_RECORDS, "N", 0, "How many, instead of how long", 0},
    {"witness", KEY_WITNESS, "lazy|strict", 0, "Default lazy", 0},
    {"segment-size", KEY_SEGMENT, "SIZE", 0, "Default 64MiB", 0},
    {"cold", KEY_COLD, NULL, 0, "Make segments inside the clock", 0},
    {"open-loop", KEY_OPEN_LOOP, "RATE|half", 0, "Latency at this rate, or at half the peak", 0},
    {"event-loop", KEY_EVENT_LOOP, NULL, 0, "With --outstanding: drive by weir_process", 0},
    {"emulated-pmem", KEY_EMULATED, NULL, 0, "Accept persistent memory that is none", 0},
    {"json", KEY_JSON, NULL, 0, "One line of JSON", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {0},
};

static const struct option_word durabilities[] = {
    {"each", WEIR_EACH},
    {"group", WEIR_GROUP},
    {"none", WEIR_NONE},
    {NULL, 0},
};
static const struct option_word witnesses[] = {
    {"lazy", WEIR_WITNESS_LAZY},
    {"strict", WEIR_WITNESS_STRICT},
    {NULL, 0},
};

static error_t parse_unsigned(struct argp_state *state, const char *name, const char *value,
                              uint64_t most, unsigned *ret_number)
{
    uint64_t number = 0;
    error_t error = option_count(state, name, value, 1, most, &number);
    *ret_number = (unsigned)number;
    return error;
}

/* The options whose value is one of a few words. */
static error_t parse_word(int key, const char *value, struct argp_state *state)
{
    struct bench_append_options *options = &((struct arguments *)state->input)->options;
    int chosen = 0;
    error_t error;
    switch (key) {
    case KEY_DURABILITY:
        error = option_choice(state, "--durability", value, durabilities, &chosen);
        options->durability = (enum weir_durability)chosen;
        return error;
    case KEY_MEDIUM:
        return option_medium(state, value, &options->medium);
    case KEY_IO:
        return option_io(state, value, &options->io);
    case KEY_WITNESS:
        error = option_choice(state, "--witness", value, witnesses, &chosen);
        options->witness = (enum weir_witness)chosen;
        return error;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_open_loop(struct argp_state *state, const char *value)
{
    struct bench_append_options *options = &((struct arguments *)state->input)->options;
    uint64_t rate = 0;
    if (strcmp(value, "half") == 0) {
        options->open_loop_half = true;
        return 0;
    }
    error_t error = option_count(state, "--open-loop", value, 1, 1000000000, &rate);
    options->open_loop_per_s = (double)rate;
    return error;
}

static error_t check_together(struct argp_state *state)
{
    struct bench_append_options *options = &((struct arguments *)state->input)->options;
    if (options->directory == NULL) {
        argp_error(state, "--dir is missing");
    }
    if (options->outstanding > 1) {
        if (options->writers > 1 || options->batch > 1) {
            argp_error(state, "--outstanding is for one writer, record by record");
        }
        options->durability = WEIR_GROUP;
    } else if (options->event_loop) {
        argp_error(state, "--event-loop needs --outstanding");
    }
    return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    struct bench_append_options *options = &arguments->options;
    switch (key) {
    case KEY_DIR:
        options->directory = value;
        return 0;
    case KEY_SIZE:
        return option_record_size(state, value, &options->size_min, &options->size_max);
    case KEY_WRITERS:
        return parse_unsigned(state, "--writers", value, 1024, &options->writers);
    case KEY_OUTSTANDING:
        return parse_unsigned(state, "--outstanding", value, 1u << 20, &options->outstanding);
    case KEY_BATCH:
        return parse_unsigned(state, "--batch", value, 4096, &options->batch);
    case KEY_SECONDS:
        return option_seconds(state, value, &options->seconds);
    case KEY_RECORDS:
        return option_count(state, "--records", value, 1, UINT64_MAX / 2, &options->records);
    case KEY_SEGMENT:
        return option_segment_size(state, value, &options->segment_bytes);
    case KEY_COLD:
        options->cold = true;
        return 0;
    case KEY_OPEN_LOOP:
        return parse_open_loop(state, value);
    case KEY_EVENT_LOOP:
        options->event_loop = true;
        return 0;
    case KEY_EMULATED:
        options->emulated_pmem = true;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_FORCE:
        arguments->force = true;
        return 0;
    case ARGP_KEY_END:
        return check_together(state);
    default:
        return parse_word(key, value, state);
    }
}

static const char *durability_name(enum weir_durability durability)
{
    return durabilities[durability - WEIR_EACH].word;
}

static const char *durable_text(const struct bench_result *result)
{
    return result->emulated ? "no (emulated)" : result->durable ? "yes" : "no (memory)";
}

static void print_json(const struct arguments *arguments, const struct bench_result *result,
                       const struct bench_environment *environment)
{
    const struct bench_append_options *options = &arguments->options;
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_number(&json, "records_per_s", result->records_per_s);
    bench_json_number(&json, "bytes_per_s", result->bytes_per_s);
    bench_json_number(&json, "p50_us", result->p50_us);
    bench_json_number(&json, "p99_us", result->p99_us);
    bench_json_number(&json, "p999_us", result->p999_us);
    bench_json_number(&json, "max_us", result->max_us);
    bench_json_count(&json, "latency_count", result->latency_count);
    bench_json_text(&json, "latency", result->open_loop_per_s > 0.0 ? "open-loop" : "closed-loop");
    bench_json_number(&json, "open_loop_per_s", result->open_loop_per_s);
    bench_json_number(&json, "setup_s", result->setup_s);
    bench_json_text(&json, "medium", result->medium);
    bench_json_text(&json, "io", result->io);
    bench_json_text(&json, "durability", durability_name(options->durability));
    bench_json_text(&json, "durable", durable_text(result));
    bench_json_number(&json, "flushes_per_record", result->flushes_per_record);
    bench_json_number(&json, "device_bytes_per_byte", result->device_bytes_per_byte);
    bench_json_count(&json, "records", result->records);
    bench_json_count(&json, "bytes", result->bytes);
    bench_json_number(&json, "seconds", result->seconds);
    bench_json_count(&json, "size_min", options->size_min);
    bench_json_count(&json, "size_max", options->size_max);
    bench_json_count(&json, "writers", options->writers);
    bench_json_count(&json, "outstanding", options->outstanding);
    bench_json_count(&json, "batch", options->batch);
    bench_json_count(&json, "segments_made", result->segments_made);
    bench_json_bool(&json, "cold", options->cold);
    bench_json_bool(&json, "interrupted", result->interrupted);
    bench_environment_json(environment, &json);
    bench_json_close(&json);
}

static void print_table(const struct arguments *arguments, const struct bench_result *result,
                        const struct bench_environment *environment)
{
    const struct bench_append_options *options = &arguments->options;
    bench_environment_print(environment);
    (void)printf("medium   %s, io %s: %s\n", result->medium, result->io, result->reason);
    (void)printf("durable  %s; durability %s\n", durable_text(result),
                 durability_name(options->durability));
    (void)printf("load     %zu-%zu B records, %u writers, %u outstanding, batches of %u\n\n",
                 options->size_min, options->size_max, options->writers, options->outstanding,
                 options->batch);
    (void)printf("%-26s %14.0f\n", "records per second", result->records_per_s);
    (void)printf("%-26s %14.1f\n", "MB per second", result->bytes_per_s / 1e6);
    if (result->latency_count > 0) {
        (void)printf("%-26s %14.1f %.1f %.1f us (%s", "p50, p99, p99.9", result->p50_us,
                     result->p99_us, result->p999_us,
                     result->open_loop_per_s > 0.0 ? "from intended starts" : "closed loop");
        if (result->open_loop_per_s > 0.0) {
            (void)printf(", %.0f/s", result->open_loop_per_s);
        }
        (void)printf(")\n");
    }
    (void)printf("%-26s %14.4f\n", "flushes per record", result->flushes_per_record);
    (void)printf("%-26s %14.2f\n", "device bytes per byte", result->device_bytes_per_byte);
    (void)printf("%-26s %14.3f s%s\n", "setup", result->setup_s,
                 options->cold ? " (cold: segments are made inside the clock)" : "");
    if (result->segments_made > 0 && !options->cold) {
        (void)printf("%-26s %14llu\n", "segments made in the clock",
                     (unsigned long long)result->segments_made);
    }
    if (result->interrupted) {
        (void)printf("interrupted: this is what was done by then\n");
    }
}

int bench_append_command(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Appends to a fresh log. Segments are made before the clock starts, one commit "
               "inside the clock ends the run, latency at a rate is measured from the intended "
               "start times.",
    };
    struct arguments arguments = {.options = BENCH_APPEND_OPTIONS_INIT};
    static char name[] = "weir bench append";
    argv[0] = name;
    (void)argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (!bench_build_is_fit(arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    struct bench_result result;
    int rc = bench_append(&arguments.options, &result);
    if (rc < 0) {
        (void)fprintf(stderr, "weir: bench append: %s\n%s\n", result.error, weir_error_advice(rc));
    } else {
        struct bench_environment environment;
        bench_environment_read(&environment, arguments.options.directory);
        (arguments.json ? print_json : print_table)(&arguments, &result, &environment);
    }
    return bench_exit_code(rc, result.interrupted);
}
