/* One set of options for all benchmarks of stores; what one of them has no use for it ignores. */
#include "bench/kv/options.h"

#include "bench/command.h"
#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORDS_MAX (UINT64_C(1) << 32)

enum {
    KEY_DIR = 256,
    KEY_RECORDS,
    KEY_SIZE,
    KEY_KIND,
    KEY_ORDER,
    KEY_WRITERS,
    KEY_THREADS,
    KEY_BATCH,
    KEY_RATIO,
    KEY_PLOT,
    KEY_DURABILITY,
    KEY_MEDIUM,
    KEY_IO,
    KEY_SEGMENT,
    KEY_SECONDS,
    KEY_ROUNDS,
    KEY_PEERS,
    KEY_EMULATED,
    KEY_NO_WARM_UP,
    KEY_JSON,
    KEY_FORCE,
};

static const struct argp_option option_table[] = {
    {"dir", KEY_DIR, "D", 0, "Where to make the stores (removed afterwards)", 0},
    {"records", KEY_RECORDS, "N", 0, "How many, at most (default 1000000)", 0},
    {"keys", KEY_RECORDS, "N", OPTION_ALIAS, NULL, 0},
    {"size", KEY_SIZE, "N|A-B|mixed", 0, "Bytes of a value (default 100; mixed = 20-400)", 0},
    {"key-kind", KEY_KIND, "u64|user|url", 0, "8 bytes, 15 or 60 (default u64)", 0},
    {"order", KEY_ORDER, "LIST", 0, "random, ascending: how keys are inserted", 0},
    {"writers", KEY_WRITERS, "LIST", 0, "put: blocking threads (default 1,8,64; none: 1)", 0},
    {"threads", KEY_THREADS, "LIST", 0, "get, rebuild, mixed: threads", 0},
    {"batch", KEY_BATCH, "LIST", 0, "get: keys at once (default 1,64)", 0},
    {"ratio", KEY_RATIO, "LIST", 0, "mixed: percent of reads (default 95,50)", 0},
    {"plot", KEY_PLOT, "LIST", 0, "rebuild: millions of records, a line each", 0},
    {"durability", KEY_DURABILITY, "each|group|none", 0, "What a put achieves (each)", 0},
    {"medium", KEY_MEDIUM, "auto|pmem|direct|mapped", 0, "Default auto", 0},
    {"io", KEY_IO, "auto|uring|sync", 0, "Default auto", 0},
    {"segment-size", KEY_SEGMENT, "SIZE", 0, "Default 64MiB", 0},
    {"seconds", KEY_SECONDS, "S", 0, "How long, where time ends it (default 1)", 0},
    {"rounds", KEY_ROUNDS, "N", 0, "Each asks every store once; medians (default 3)", 0},
    {"peers", KEY_PEERS, "LIST", 0, "rocksdb, lmdb: on the same keys, in turns", 0},
    {"emulated-pmem", KEY_EMULATED, NULL, 0, "Accept persistent memory that is none", 0},
    {"no-warm-up", KEY_NO_WARM_UP, NULL, 0,
     "get: begin without having asked for every key once before the clock", 0},
    {"json", KEY_JSON, NULL, 0, "One line of JSON", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {0},
};

static const struct option_word kinds[] = {
    {"u64", BENCH_KEY_U64}, {"user", BENCH_KEY_USER}, {"url", BENCH_KEY_URL}, {NULL, 0}};
static const struct option_word orders[] = {{"random", 0}, {"ascending", 1}, {NULL, 0}};
static const struct option_word durabilities[] = {
    {"each", WEIR_EACH}, {"group", WEIR_GROUP}, {"none", WEIR_NONE}, {NULL, 0}};
/* "1,8,64"; with words: one of them each. */
static error_t parse_list(struct argp_state *state, const char *name, const char *value,
                          const struct option_word *words, uint64_t most, struct kv_list *list)
{
    char item[32];
    error_t error = 0;
    list->count = 0;
    for (const char *at = value; error == 0 && at != NULL;) {
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof item || list->count == KV_LIST_MAX) {
            return option_refuse(state, name, value);
        }
        (void)snprintf(item, sizeof item, "%.*s", (int)length, at);
        if (words != NULL) {
            int chosen = 0;
            error = option_choice(state, name, item, words, &chosen);
            list->values[list->count++] = (uint64_t)chosen;
        } else {
            error = option_count(state, name, item, 1, most, &list->values[list->count++]);
        }
        at = at[length] != '\0' ? at + length + 1 : NULL;
    }
    return error;
}

static error_t parse_words(int key, const char *value, struct argp_state *state)
{
    struct kv_plan *plan = state->input;
    int chosen = 0;
    error_t error;
    switch (key) {
    case KEY_KIND:
        error = option_choice(state, "--key-kind", value, kinds, &chosen);
        plan->key_kind = (enum bench_key_kind)chosen;
        return error;
    case KEY_DURABILITY:
        error = option_choice(state, "--durability", value, durabilities, &chosen);
        plan->durability = (enum weir_durability)chosen;
        return error;
    case KEY_MEDIUM:
        return option_medium(state, value, &plan->medium);
    case KEY_IO:
        return option_io(state, value, &plan->io);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_numbers(int key, const char *value, struct argp_state *state)
{
    struct kv_plan *plan = state->input;
    uint64_t number = 0;
    error_t error;
    switch (key) {
    case KEY_RECORDS:
        return option_count(state, "--records", value, 1, RECORDS_MAX, &plan->records);
    case KEY_SIZE:
        return option_record_size(state, value, &plan->size_min, &plan->size_max);
    case KEY_ORDER:
        return parse_list(state, "--order", value, orders, 0, &plan->orders);
    case KEY_WRITERS:
        return parse_list(state, "--writers", value, NULL, KV_THREADS_MAX, &plan->writers);
    case KEY_THREADS:
        return parse_list(state, "--threads", value, NULL, KV_THREADS_MAX, &plan->threads);
    case KEY_BATCH:
        return parse_list(state, "--batch", value, NULL, KV_BATCH_MAX, &plan->batches);
    case KEY_RATIO:
        return parse_list(state, "--ratio", value, NULL, 99, &plan->ratios);
    case KEY_PLOT:
        return parse_list(state, "--plot", value, NULL, RECORDS_MAX / 1000000, &plan->plot);
    case KEY_SEGMENT:
        return option_segment_size(state, value, &plan->segment_bytes);
    case KEY_SECONDS:
        return option_seconds(state, value, &plan->seconds);
    case KEY_ROUNDS:
        error = option_count(state, "--rounds", value, 1, KV_ROUNDS_MAX, &number);
        plan->rounds = (unsigned)number;
        return error;
    default:
        return parse_words(key, value, state);
    }
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct kv_plan *plan = state->input;
    switch (key) {
    case KEY_DIR:
        plan->directory = value;
        return 0;
    case KEY_PEERS:
        if (snprintf(plan->peers, sizeof plan->peers, "%s", value) >= (int)sizeof plan->peers) {
            return option_refuse(state, "--peers", value);
        }
        return 0;
    case KEY_EMULATED:
        plan->emulated_pmem = true;
        return 0;
    case KEY_JSON:
        plan->json = true;
        return 0;
    case KEY_NO_WARM_UP:
        plan->no_warm_up = true;
        return 0;
    case KEY_FORCE:
        plan->force = true;
        return 0;
    case ARGP_KEY_END:
        if (plan->directory == NULL) {
            argp_error(state, "--dir is missing");
        }
        return 0;
    default:
        return parse_numbers(key, value, state);
    }
}

/* Returns the first peer that this program does not have, or NULL when they all entered. */
static const char *enter_peers(struct kv_plan *plan)
{
    static char name[32];
    for (const char *at = plan->peers; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, at);
        const struct kv_ops *ops = kv_find(name);
        if (ops == NULL || plan->store_count == KV_STORES_MAX) {
            return name;
        }
        plan->stores[plan->store_count++] = ops;
        at = at[length] != '\0' ? at + length + 1 : NULL;
    }
    return NULL;
}

int kv_options_parse(struct kv_plan *plan, const char *name, const char *doc, int argc, char **argv)
{
    char title[64];
    char *words[64];
    (void)snprintf(title, sizeof title, "weir bench %s", name);
    if (argc > (int)(sizeof words / sizeof *words) - 1) {
        (void)fprintf(stderr, "weir: bench %s: too many arguments\n", name);
        return BENCH_EXIT_USAGE;
    }
    for (int index = 0; index <= argc; index++) {
        words[index] = argv[index]; /* argp puts them in another order */
    }
    struct argp parser = {.options = option_table, .parser = parse_option, .doc = doc};
    char *first = argv[0];
    argv[0] = title;
    (void)argp_parse(&parser, argc, argv, 0, NULL, plan);
    argv[0] = first;
    if (!bench_build_is_fit(plan->force)) {
        return BENCH_EXIT_REFUSED;
    }
    const char *missing = enter_peers(plan);
    if (missing == NULL) {
        return -1;
    }
    if (kv_has_peers()) {
        (void)fprintf(stderr, "weir: bench %s: %s is not part of this build\n", name, missing);
        return BENCH_EXIT_USAGE;
    }
    static char verb[32];
    (void)snprintf(verb, sizeof verb, "%s", name);
    words[0] = verb;
    return bench_become_peers(words);
}
