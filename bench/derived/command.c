/* weir bench derived: options, and the parts in their order. */
#include "bench/command.h"
#include "bench/derived/report.h"
#include "bench/exit.h"
#include "bench/option.h"
#include "bench/workdir.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

#define DOCUMENTS_MAX 100000000u

struct arguments {
    struct derived_plan plan;
    const char *directory, *peer;
    bool json, force;
};

enum {
    KEY_DIR = 256,
    KEY_DOCUMENTS,
    KEY_ROUNDS,
    KEY_PEERS,
    KEY_MEDIUM,
    KEY_IO,
    KEY_SEGMENT,
    KEY_EMULATED,
    KEY_JSON,
    KEY_FORCE,
};

static const struct argp_option option_table[] = {
    {"dir", KEY_DIR, "D", 0, "Where to make the logs (removed afterwards)", 0},
    {"documents", KEY_DOCUMENTS, "N", 0, "How many, of about 200 bytes (default 200000)", 0},
    {"rounds", KEY_ROUNDS, "N", 0, "How often each row is measured, in turns (default 3)", 0},
    {"peers", KEY_PEERS, "sqlite", 0, "The same indexes elsewhere, in the same run", 0},
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
    struct derived_plan *plan = &((struct arguments *)state->input)->plan;
    uint64_t number = 0;
    error_t error;
    switch (key) {
    case KEY_DOCUMENTS:
        return option_count(state, "--documents", value, 1, DOCUMENTS_MAX, &plan->count);
    case KEY_ROUNDS:
        error = option_count(state, "--rounds", value, 1, DERIVED_ROUNDS_MAX, &number);
        plan->rounds = (unsigned)number;
        return error;
    case KEY_MEDIUM:
        return option_medium(state, value, &plan->medium);
    case KEY_IO:
        return option_io(state, value, &plan->io);
    case KEY_SEGMENT:
        return option_segment_size(state, value, &plan->segment_bytes);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_DIR:
        arguments->directory = value;
        return 0;
    case KEY_PEERS:
        arguments->peer = value;
        return 0;
    case KEY_EMULATED:
        arguments->plan.emulated_pmem = true;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_FORCE:
        arguments->force = true;
        return 0;
    case ARGP_KEY_END:
        if (arguments->directory == NULL) {
            argp_error(state, "--dir is missing");
        }
        return 0;
    default:
        return parse_value(key, value, state);
    }
}

/* -1 to go on, else the exit code: weir-peers has run in this program's place, or cannot. */
static int enter_peer(struct arguments *arguments, char **words)
{
    static char verb[] = "derived";
    if (arguments->peer == NULL) {
        return -1;
    }
    arguments->plan.peer = derived_find_peer(arguments->peer);
    if (arguments->plan.peer != NULL) {
        return -1;
    }
    if (derived_has_peer()) {
        (void)fprintf(stderr, "weir: bench derived: %s is not part of this build\n",
                      arguments->peer);
        return BENCH_EXIT_USAGE;
    }
    words[0] = verb;
    return bench_become_peers(words);
}

static int run(struct derived_bench *bench)
{
    static int (*const parts[])(struct derived_bench *) = {derived_events, derived_delivery,
                                                           derived_compare};
    int rc = documents_create(&bench->documents, bench->plan->count);
    if (rc < 0) {
        return derived_fail(bench, rc, "making documents", NULL);
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0 && !bench->interrupted; i++) {
        rc = parts[i](bench);
    }
    derived_rows_finish(bench);
    return rc;
}

static int run_in_directory(struct arguments *arguments)
{
    struct bench_workdir workdir;
    struct derived_bench *bench = base_alloc_zero(sizeof *bench);
    if (bench == NULL) {
        return BENCH_EXIT_REFUSED;
    }
    bench->plan = &arguments->plan;
    int rc = bench_workdir_create(&workdir, arguments->directory);
    if (rc < 0) {
        (void)derived_fail(bench, rc, arguments->directory, NULL);
    } else {
        arguments->plan.directory = workdir.path;
        rc = run(bench);
        bench_workdir_remove(&workdir);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "weir: bench derived: %s\n%s\n", bench->error, weir_error_advice(rc));
    } else {
        struct bench_environment environment;
        bench_environment_read(&environment, arguments->directory);
        (arguments->json ? derived_print_json : derived_print_table)(bench, &environment);
    }
    int code = bench_exit_code(rc, bench->interrupted);
    documents_destroy(&bench->documents);
    base_free(bench);
    return code;
}

int bench_derived_command(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Puts documents into an engine and measures what derived systems cost: events a "
               "second, rebuilding, what writers pay, how far they lag.",
    };
    static char name[] = "weir bench derived";
    char *words[64];
    struct arguments arguments = {.plan = {.count = 200000, .rounds = 3}};
    if (argc > (int)(sizeof words / sizeof *words) - 1) {
        (void)fprintf(stderr, "weir: bench derived: too many arguments\n");
        return BENCH_EXIT_USAGE;
    }
    for (int index = 0; index <= argc; index++) {
        words[index] = argv[index]; /* argp puts them in another order */
    }
    argv[0] = name;
    (void)argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (!bench_build_is_fit(arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    int code = enter_peer(&arguments, words);
    return code >= 0 ? code : run_in_directory(&arguments);
}
