/*
 * bench_derived_index: what an event costs the secondary index, and what an entry takes.
 *
 *     bench_derived_index [--rows N] [--json-rows] [--force]
 *
 * Rows of about 150 bytes in memory, put, put again, moved, deleted, by one thread, without a log.
 * Two shapes: 50 values that all rows share, and a value for each row. The extractor takes 8 to 12
 * bytes from a fixed place, or reads a JSON document. The time to make an event is measured with
 * an index that does nothing, and taken off.
 */
#include "base/alloc.h"
#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/option.h"
#include "derived/dictionary.h"

#include <weir/index.h>

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECTIONS 50u
#define ROW_BYTES 192u
#define KEY_BYTES 24u
#define LOOKS 1000u

struct arguments {
    uint64_t rows;
    bool json_rows;
    bool force;
};

struct bench {
    uint64_t rows;
    bool unique;
    bool json_rows;
    struct weir_index *index;
    struct weir_json_fields *fields;
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_derived_index: %s\n", what);
    exit(BENCH_EXIT_IO);
}

/* Of this thread, on the CPU: who else runs does not count, but for what it does to the caches. */
static uint64_t spent_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- rows ---- */

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static void put_digits(char *to, uint64_t number, unsigned count)
{
    while (count-- > 0) {
        to[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* {"name":"package-00000001","section":"s00000000042","text":"..."} */
#define VALUE_AT 39u /* behind the 's' */
#define VALUE_BYTES 12u

static struct weir_bytes make_row(const struct bench *bench, char *to, uint64_t row,
                                  uint64_t version)
{
    static const char pattern[] =
        "{\"name\":\"package-00000000\",\"section\":\"s00000000000\",\"version\":\"1.2.3-4\","
        "\"size\":123456,\"text\":\"a program that does what it says, and little more\"}";
    uint64_t value =
        bench->unique ? mix(row) % 10000000000u + version : (mix(row) + version) % SECTIONS;
    memcpy(to, pattern, sizeof pattern);
    put_digits(to + 17, row, 8);
    put_digits(to + VALUE_AT, value, VALUE_BYTES - 1);
    return (struct weir_bytes){to, sizeof pattern - 1};
}

static int extract_place(void *context, struct weir_bytes key, struct weir_bytes value,
                         weir_emit_fn emit, void *emit_context)
{
    (void)context;
    (void)key;
    return emit(emit_context, 0,
                (struct weir_bytes){(const char *)value.data + VALUE_AT - 1, VALUE_BYTES});
}

/* ---- events ---- */

static int apply_nothing(void *self, const struct weir_event *event)
{
    uint64_t *sum = self;
    *sum += event->key.size + ((const uint8_t *)event->key.data)[event->key.size - 1];
    return 0;
}

typedef int (*apply_fn)(void *self, const struct weir_event *event);

struct work {
    enum weir_operation operation;
    uint64_t before, after; /* versions */
};

static uint64_t run(const struct bench *bench, const struct work *work, apply_fn apply, void *self)
{
    char key[KEY_BYTES] = "package-00000000";
    char before[ROW_BYTES];
    char after[ROW_BYTES];
    uint64_t start = spent_ns();
    for (uint64_t number = 0; number < bench->rows; number++) {
        uint64_t row = number * UINT64_C(2654435761) % bench->rows;
        struct weir_event event = {.lsn = number + 1, .operation = work->operation};
        put_digits(key + 8, row, 8);
        event.key = (struct weir_bytes){key, 16};
        if (work->operation != WEIR_INSERT) {
            event.before = make_row(bench, before, row, work->before);
        }
        if (work->operation != WEIR_REMOVE) {
            event.after = make_row(bench, after, row, work->after);
        }
        if (apply(self, &event) != 0) {
            fail("an event was refused");
        }
    }
    return spent_ns() - start;
}

static double cost(struct bench *bench, enum weir_operation operation, uint64_t before,
                   uint64_t after)
{
    struct work work = {.operation = operation, .before = before, .after = after};
    uint64_t sum = 0;
    uint64_t nothing = run(bench, &work, apply_nothing, &sum);
    uint64_t all = run(bench, &work, weir_index_ops()->apply, bench->index);
    double spent = all > nothing ? (double)(all - nothing) : 0;
    return spent / (double)bench->rows;
}

/* ---- searches ---- */

static int count_found(void *context, const struct weir_bytes *values, weir_table table,
                       struct weir_bytes key)
{
    uint64_t *sum = context;
    *sum += values[0].size + table + key.size;
    return 0;
}

/* ns per search with a limit. */
static double search(struct bench *bench, uint64_t looks, uint64_t limit)
{
    char room[ROW_BYTES];
    uint64_t found = 0;
    uint64_t start = spent_ns();
    for (uint64_t look = 0; look < looks; look++) {
        struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
        (void)make_row(bench, room, mix(look) % bench->rows, 1);
        struct weir_bytes value = {room + VALUE_AT - 1, VALUE_BYTES};
        query.values = &value;
        query.count = 1;
        query.limit = limit;
        if (weir_index_find(bench->index, &query, count_found, &found) < 0) {
            fail("a search failed");
        }
    }
    if (found == 0) {
        fail("nothing was found");
    }
    return (double)(spent_ns() - start) / (double)looks;
}

static double range(struct bench *bench)
{
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    uint64_t found = 0;
    uint64_t start = spent_ns();
    query.limit = 10;
    if (weir_index_find(bench->index, &query, count_found, &found) < 0) {
        fail("a search failed");
    }
    return (double)(spent_ns() - start);
}

/* ---- all of it ---- */

static void measure(const struct arguments *arguments, bool unique)
{
    struct bench bench = {
        .rows = arguments->rows, .unique = unique, .json_rows = arguments->json_rows};
    struct weir_index_options options = WEIR_INDEX_OPTIONS_INIT;
    struct weir_index_status status = WEIR_INDEX_STATUS_INIT;
    uint8_t fingerprint[16];
    const char *path = "section";
    options.extract = extract_place;
    if (arguments->json_rows) {
        if (weir_json_fields_create(&path, 1, &bench.fields) < 0) {
            fail("no memory");
        }
        options.extract = weir_json_extract;
        options.extract_context = bench.fields;
    }
    if (weir_index_create(&options, &bench.index) < 0) {
        fail("no memory");
    }
    double insert_ns = cost(&bench, WEIR_INSERT, 0, 0);
    double same_ns = cost(&bench, WEIR_UPDATE, 0, 0);
    double move_ns = cost(&bench, WEIR_UPDATE, 0, 1);
    (void)weir_index_stat(bench.index, &status);
    uint64_t start = spent_ns();
    weir_index_ops()->fingerprint(bench.index, fingerprint);
    double fingerprint_ns = (double)(spent_ns() - start) / (double)status.entries;
    double find_ns = search(&bench, unique ? 100000 : LOOKS / 50, 0);
    double order_ns = range(&bench);
    (void)search(&bench, 1, 10);
    double few_ns = search(&bench, LOOKS, 10);
    double range_ns = range(&bench);
    double remove_ns = cost(&bench, WEIR_REMOVE, 1, 0);
    (void)printf("%-10s %8.0f %8.0f %8.0f %8.0f %9.1f %10.0f %12.0f %12.0f %12.0f %12.0f\n",
                 unique ? "unique" : "50 values", insert_ns, same_ns, move_ns, remove_ns,
                 (double)status.bytes / (double)status.entries, fingerprint_ns, find_ns, few_ns,
                 order_ns, range_ns);
    (void)fflush(stdout);
    weir_index_free(bench.index);
    weir_json_fields_free(bench.fields);
}

static void measure_dictionary(uint64_t count)
{
    struct dictionary dictionary;
    uint32_t number;
    char key[KEY_BYTES] = "package-00000000";
    dictionary_init(&dictionary);
    uint64_t times[5];
    for (int pass = 0; pass < 2; pass++) { /* adds, then finds */
        times[pass] = spent_ns();
        for (uint64_t index = 0; index < count; index++) {
            put_digits(key + 8, index * UINT64_C(2654435761) % count, 8);
            if (dictionary_add(&dictionary, key, 16, &number) != 1 - pass) {
                fail("a text was not added");
            }
        }
    }
    times[2] = spent_ns();
    uint32_t ordered;
    (void)dictionary_order(&dictionary, &ordered);
    times[3] = spent_ns();
    for (uint64_t index = 0; index < LOOKS; index++) { /* a change, then the order */
        put_digits(key + 8, index * (count / LOOKS), 8);
        if (index % 2 == 0) {
            dictionary_remove(&dictionary, dictionary_find(&dictionary, key, 16));
        } else {
            key[0] = 'q';
            (void)dictionary_add(&dictionary, key, 16, &number);
            key[0] = 'p';
        }
        (void)dictionary_order(&dictionary, &ordered);
    }
    times[4] = spent_ns();
    (void)printf("dictionary of %llu texts of 16 B: add %.0f ns, find %.0f ns, order %.0f ms, "
                 "order after a change %.0f us, %.1f B each\n\n",
                 (unsigned long long)count, (double)(times[1] - times[0]) / (double)count,
                 (double)(times[2] - times[1]) / (double)count, (double)(times[3] - times[2]) / 1e6,
                 (double)(times[4] - times[3]) / 1e3 / LOOKS,
                 (double)dictionary_bytes(&dictionary) / (double)count);
    dictionary_free(&dictionary);
}

/* ---- the program ---- */

enum { KEY_ROWS = 256, KEY_JSON_ROWS, KEY_FORCE };

static const struct argp_option option_table[] = {
    {"rows", KEY_ROWS, "N", 0, "How many (default 1000000)", 0},
    {"json-rows", KEY_JSON_ROWS, NULL, 0, "Read the rows as JSON documents", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_ROWS:
        return option_count(state, "--rows", value, 1000, UINT64_C(99999999), &arguments->rows);
    case KEY_JSON_ROWS:
        arguments->json_rows = true;
        return 0;
    case KEY_FORCE:
        arguments->force = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Measures the secondary index with events that are made in memory.",
    };
    struct arguments arguments = {.rows = 1000000};
    (void)argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (!bench_build_is_fit(arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    struct bench_environment environment;
    bench_environment_read(&environment, ".");
    bench_environment_print(&environment);
    (void)printf("load     %llu rows of about 150 B, one field, %s; ns per event\n\n",
                 (unsigned long long)arguments.rows,
                 arguments.json_rows ? "read as JSON" : "from a fixed place");
    measure_dictionary(arguments.rows);
    (void)printf("%-10s %8s %8s %8s %8s %9s %10s %12s %12s %12s %12s\n", "", "insert", "same",
                 "move", "remove", "B/entry", "print/ent.", "find all ns", "find 10 ns",
                 "first order", "range 10 ns");
    measure(&arguments, false);
    measure(&arguments, true);
    return 0;
}
