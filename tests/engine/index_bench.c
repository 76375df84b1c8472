/*
 * bench_index: what the index costs, without a log below and an engine above.
 *
 * Records lie in an array in memory, each with a header of 24 bytes, its key and a value, so that
 * comparing a key costs the cache miss that it costs in a mapped log. Keys to look up are made
 * anew, outside of the clock. Each get and each put has an epoch section of its own.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/thread.h"
#include "bench/environment.h"
#include "bench/exit.h"
#include "bench/kv/chase.h"
#include "bench/option.h"
#include "engine/index.h"
#include "engine/index_build.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE 53 /* as with segments of 1 GiB */
#define RECORD_BYTES 128
#define KEY_BYTES_MAX 96
#define QUERIES 4096
#define BATCH 64

struct record {
    uint32_t key_size;
    uint8_t header[20];
    uint8_t key[RECORD_BYTES - 24];
};

_Static_assert(sizeof(struct record) == RECORD_BYTES, "a header of 24 bytes");

struct arguments {
    uint64_t keys;
    const char *only;
    bool json;
    bool force;
};

/* Makes key number `number` of `count`; all are different. Returns its size. */
typedef uint32_t (*make_key)(uint8_t *key, uint64_t number, uint64_t count);

struct load {
    const char *name;
    make_key make;
};

struct results {
    double put_ns;
    double put_two_ns;
    double put_again_ns;
    double get_ns;
    double get_two_ns;
    double get_batch_ns;
    double absent_ns;
    double seek_ns;
    double scan_ns;
    double scan_keys_ns;
    double build_ns;
    double used_bytes;
    double built_bytes;
};

struct bench {
    const struct load *load;
    uint64_t count;
    struct record *records;
    struct engine_epochs epochs;
    struct engine_arena arena;
    struct index index;
};

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static uint32_t store_number(uint8_t *key, uint64_t value)
{
    for (int index = 0; index < 8; index++) {
        key[index] = (uint8_t)(value >> (56 - 8 * index));
    }
    return 8;
}

static uint32_t make_random(uint8_t *key, uint64_t number, uint64_t count)
{
    (void)count;
    return store_number(key, mix(number + 1));
}

static uint32_t make_ascending(uint8_t *key, uint64_t number, uint64_t count)
{
    (void)count;
    return store_number(key, number);
}

/* The same numbers in an order without locality: a prime that does not divide the count. */
static uint64_t scatter(uint64_t number, uint64_t count)
{
    return number * UINT64_C(2654435761) % count; /* both are less than 2^32 */
}

static uint32_t make_user(uint8_t *key, uint64_t number, uint64_t count)
{
    return (uint32_t)snprintf((char *)key, KEY_BYTES_MAX, "user:%08llu",
                              (unsigned long long)scatter(number, count));
}

static uint32_t make_url(uint8_t *key, uint64_t number, uint64_t count)
{
    static const char *const paths[] = {
        "wiki",   "articles", "products/details", "static/images", "user/profile",
        "search", "a",        "blog/2024/archive"};
    uint64_t scattered = scatter(number, count);
    uint64_t chance = mix(scattered);
    return (uint32_t)snprintf((char *)key, KEY_BYTES_MAX, "https://www.site-%u.example.com/%s/%llx",
                              (unsigned)(chance % 1000), paths[chance >> 32 & 7],
                              (unsigned long long)(mix(scattered + 77) >> 44 << 32 | scattered));
}

static const struct load loads[] = {
    {"random 8 B", make_random},
    {"ascending 8 B", make_ascending},
    {"user:%08d", make_user},
    {"URLs", make_url},
};

#define LOADS (sizeof loads / sizeof loads[0])

static int load_key(void *context, uint64_t address, struct index_key *ret_key)
{
    const struct record *record = (const struct record *)((const char *)context + address);
    *ret_key = (struct index_key){.data = record->key, .size = record->key_size};
    return 0;
}

static void prefetch_record(void *context, uint64_t address)
{
    __builtin_prefetch((const char *)context + address);
}

static uint64_t address_of(uint64_t number)
{
    return (number + 1) * RECORD_BYTES;
}

static struct index_key key_of(const struct bench *bench, uint64_t number)
{
    struct index_key key;
    (void)load_key(bench->records, address_of(number), &key);
    return key;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_index: %s\n", what);
    exit(BENCH_EXIT_IO);
}

static void open_index(struct bench *bench)
{
    struct index_source source = {
        .load = load_key, .prefetch = prefetch_record, .context = bench->records};
    if (epochs_init(&bench->epochs) < 0 || arena_init(&bench->arena, &bench->epochs, 0, 0) < 0) {
        fail("no address space");
    }
    arena_spare(&bench->arena, SPARE);
    index_init(&bench->index, &bench->arena, &source);
}

static void close_index(struct bench *bench)
{
    arena_destroy(&bench->arena);
    epochs_destroy(&bench->epochs);
}

struct range {
    struct bench *bench;
    uint64_t from;
    uint64_t to;
    uint64_t seed;
    double spent_ns; /* in the calls alone */
};

static void put_range(void *context)
{
    struct range *range = context;
    struct bench *bench = range->bench;
    for (uint64_t number = range->from; number < range->to; number++) {
        uint64_t old;
        uint32_t slot = epoch_enter(&bench->epochs);
        if (index_put(&bench->index, key_of(bench, number), address_of(number), &old) < 0) {
            fail("a put failed");
        }
        epoch_leave(&bench->epochs, slot);
    }
}

/* Runs the same over the whole or over two halves on two threads; ns per key. */
static double in_threads(struct bench *bench, base_thread_main main, unsigned threads)
{
    struct range ranges[2];
    struct base_thread handles[2];
    uint64_t start = base_clock_monotonic_ns();
    for (unsigned index = 0; index < threads; index++) {
        ranges[index] = (struct range){.bench = bench,
                                       .from = bench->count * index / threads,
                                       .to = bench->count * (index + 1) / threads,
                                       .seed = index + 1};
        if (base_thread_start(&handles[index], "bench", main, &ranges[index]) < 0) {
            fail("no thread");
        }
    }
    double spent = 0;
    for (unsigned index = 0; index < threads; index++) {
        base_thread_join(&handles[index]);
        spent = ranges[index].spent_ns > spent ? ranges[index].spent_ns : spent;
    }
    if (spent == 0) {
        spent = (double)(base_clock_monotonic_ns() - start);
    }
    return spent / (double)bench->count;
}

struct query {
    uint32_t size;
    uint8_t key[KEY_BYTES_MAX];
};

/* Groups that go down together: their records are asked for together, then read. */
static void get_groups(struct bench *bench, const struct query *queries, uint64_t count)
{
    for (uint64_t from = 0; from < count; from += INDEX_LANES) {
        struct index_lane lanes[INDEX_LANES];
        unsigned size = count - from < INDEX_LANES ? (unsigned)(count - from) : INDEX_LANES;
        for (unsigned lane = 0; lane < size; lane++) {
            const struct query *query = &queries[from + lane];
            lanes[lane].index = &bench->index;
            lanes[lane].key = (struct index_key){.data = query->key, .size = query->size};
        }
        uint32_t slot = epoch_enter(&bench->epochs);
        index_candidates(lanes, size);
        for (unsigned lane = 0; lane < size; lane++) {
            prefetch_record(bench->records, lanes[lane].address);
        }
        for (unsigned lane = 0; lane < size; lane++) {
            struct index_key found;
            (void)load_key(bench->records, lanes[lane].address, &found);
            if (found.size != lanes[lane].key.size ||
                memcmp(found.data, lanes[lane].key.data, found.size) != 0) {
                fail("a get of many was wrong");
            }
        }
        epoch_leave(&bench->epochs, slot);
    }
}

static void get_some(struct bench *bench, const struct query *queries, uint64_t count,
                     bool expected)
{
    for (uint64_t index = 0; index < count; index++) {
        uint64_t address;
        struct index_key key = {.data = queries[index].key, .size = queries[index].size};
        uint32_t slot = epoch_enter(&bench->epochs);
        int rc = index_find(&bench->index, key, &address);
        epoch_leave(&bench->epochs, slot);
        if (rc != (int)expected) {
            fail("a get was wrong");
        }
    }
}

/* Looks up as many keys as the range has, from all keys, at random. */
static void get_keys(struct range *range, bool present, bool in_groups)
{
    struct bench *bench = range->bench;
    struct query *queries = malloc(QUERIES * sizeof *queries);
    struct base_prng prng;
    base_prng_seed(&prng, range->seed);
    if (queries == NULL) {
        fail("no memory");
    }
    for (uint64_t done = range->from; done < range->to; done += QUERIES) {
        uint64_t count = range->to - done < QUERIES ? range->to - done : QUERIES;
        for (uint64_t index = 0; index < count; index++) {
            struct query *query = &queries[index];
            uint64_t number = base_prng_below(&prng, bench->count);
            query->size = bench->load->make(query->key, number, bench->count);
            if (!present) {
                query->key[query->size++] = '!';
            }
        }
        uint64_t start = base_clock_monotonic_ns();
        if (in_groups) {
            get_groups(bench, queries, count);
        } else {
            get_some(bench, queries, count, present);
        }
        range->spent_ns += (double)(base_clock_monotonic_ns() - start);
    }
    free(queries);
}

static void get_present(void *context)
{
    get_keys(context, true, false);
}

static void get_batched(void *context)
{
    get_keys(context, true, true);
}

static void get_absent(void *context)
{
    get_keys(context, false, false);
}

/* Seeks as many keys as the range has, a hundredth of it, and takes ten entries of each. */
static void seek_keys(void *context)
{
    struct range *range = context;
    struct bench *bench = range->bench;
    struct index_iterator iterator;
    struct base_prng prng;
    uint64_t total = 0;
    base_prng_seed(&prng, range->seed);
    index_iterator_init(&iterator, &bench->index);
    for (uint64_t done = range->from; done < range->to; done += 100) {
        uint8_t data[KEY_BYTES_MAX];
        uint64_t batch[10];
        uint64_t number = base_prng_below(&prng, bench->count);
        struct index_key key = {.data = data};
        key.size = bench->load->make(data, number, bench->count);
        uint64_t start = base_clock_monotonic_ns();
        uint32_t slot = epoch_enter(&bench->epochs);
        (void)index_seek(&iterator, key, INDEX_GE);
        total += (uint64_t)index_next_batch(&iterator, batch, 10);
        epoch_leave(&bench->epochs, slot);
        range->spent_ns += 100 * (double)(base_clock_monotonic_ns() - start);
    }
    if (total == 0) {
        fail("a seek was wrong");
    }
}

/* All keys in order; ns per entry. With `touch`, the key of each record is read. */
static double scan(struct bench *bench, bool touch, uint64_t *ret_addresses)
{
    struct index_iterator iterator;
    uint64_t batch[BATCH];
    uint64_t total = 0;
    uint64_t bytes = 0;
    int count;
    index_iterator_init(&iterator, &bench->index);
    if (!touch) {
        iterator.index->source.prefetch = NULL;
    }
    uint64_t start = base_clock_monotonic_ns();
    uint32_t slot = epoch_enter(&bench->epochs);
    (void)index_seek(&iterator, (struct index_key){0}, INDEX_FIRST);
    while ((count = index_next_batch(&iterator, batch, BATCH)) > 0) {
        if (ret_addresses != NULL) {
            memcpy(ret_addresses + total, batch, (size_t)count * sizeof *batch);
        }
        for (int index = 0; touch && index < count; index++) {
            const struct record *record =
                (const struct record *)((const char *)bench->records + batch[index]);
            bytes += record->key_size + record->key[0];
        }
        total += (uint64_t)count;
    }
    epoch_leave(&bench->epochs, slot);
    uint64_t spent = base_clock_monotonic_ns() - start;
    bench->index.source.prefetch = prefetch_record;
    if (total != bench->count || (touch && bytes == 0)) {
        fail("a scan was wrong");
    }
    return (double)spent / (double)total;
}

static double build(struct bench *bench, const uint64_t *addresses, double *ret_bytes)
{
    struct engine_arena *arena = base_alloc_aligned(BASE_CACHE_LINE, sizeof *arena);
    struct index_builder *builder = base_alloc_aligned(BASE_CACHE_LINE, sizeof *builder);
    uint64_t root;
    uint64_t keys;
    if (arena == NULL || builder == NULL || arena_init(arena, NULL, 0, 0) < 0) {
        fail("no memory");
    }
    arena_spare(arena, SPARE);
    uint64_t start = base_clock_monotonic_ns();
    int rc = index_builder_init(builder, arena);
    for (uint64_t index = 0; index < bench->count && rc == 0; index++) {
        struct index_key key;
        if (index + 16 < bench->count) {
            prefetch_record(bench->records, addresses[index + 16]);
        }
        (void)load_key(bench->records, addresses[index], &key);
        rc = index_builder_add(builder, key, addresses[index]);
    }
    if (rc < 0 || index_builder_finish(builder, &root, &keys) < 0 || keys != bench->count) {
        fail("a build failed");
    }
    uint64_t spent = base_clock_monotonic_ns() - start;
    struct arena_stats stats;
    arena_read_stats(arena, &stats);
    *ret_bytes = (double)stats.used / (double)bench->count;
    arena_destroy(arena);
    base_free(builder);
    base_free(arena);
    return (double)spent / (double)bench->count;
}

static void measure(struct bench *bench, struct results *results)
{
    uint64_t *addresses = calloc(bench->count, sizeof *addresses);
    if (addresses == NULL) {
        fail("no memory");
    }
    open_index(bench);
    results->put_two_ns = in_threads(bench, put_range, 2);
    close_index(bench);
    open_index(bench);
    results->put_ns = in_threads(bench, put_range, 1);
    struct index_stats stats;
    index_read_stats(&bench->index, &stats);
    results->used_bytes = (double)stats.bytes_used / (double)bench->count;
    results->get_ns = in_threads(bench, get_present, 1);
    results->get_two_ns = in_threads(bench, get_present, 2);
    results->get_batch_ns = in_threads(bench, get_batched, 1);
    results->absent_ns = in_threads(bench, get_absent, 1);
    results->seek_ns = in_threads(bench, seek_keys, 1);
    results->scan_ns = scan(bench, false, addresses);
    results->scan_keys_ns = scan(bench, true, NULL);
    results->put_again_ns = in_threads(bench, put_range, 1);
    results->build_ns = build(bench, addresses, &results->built_bytes);
    close_index(bench);
    free(addresses);
}

static void fill(struct bench *bench)
{
    for (uint64_t number = 0; number < bench->count; number++) {
        struct record *record = &bench->records[number + 1];
        memset(record->header, 1, sizeof record->header);
        record->key_size = bench->load->make(record->key, number, bench->count);
    }
}

static void print_json(const struct load *load, const struct results *results,
                       const struct arguments *arguments,
                       const struct bench_environment *environment)
{
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_text(&json, "keys", load->name);
    bench_json_count(&json, "count", arguments->keys);
    bench_json_number(&json, "get_ns", results->get_ns);
    bench_json_number(&json, "get_two_threads_ns", results->get_two_ns);
    bench_json_number(&json, "get_batch_ns", results->get_batch_ns);
    bench_json_number(&json, "absent_ns", results->absent_ns);
    bench_json_number(&json, "put_ns", results->put_ns);
    bench_json_number(&json, "put_two_threads_ns", results->put_two_ns);
    bench_json_number(&json, "put_again_ns", results->put_again_ns);
    bench_json_number(&json, "seek_and_ten_ns", results->seek_ns);
    bench_json_number(&json, "scan_ns", results->scan_ns);
    bench_json_number(&json, "scan_with_keys_ns", results->scan_keys_ns);
    bench_json_number(&json, "build_ns", results->build_ns);
    bench_json_number(&json, "bytes_per_key", results->used_bytes);
    bench_json_number(&json, "built_bytes_per_key", results->built_bytes);
    bench_environment_json(environment, &json);
    bench_json_close(&json);
}

static void print_head(const struct arguments *arguments,
                       const struct bench_environment *environment)
{
    struct kv_chase chase = kv_chase_measure(arguments->keys * RECORD_BYTES);
    bench_environment_print(environment);
    (void)printf("memory   a load that waits for the one before: %.0f ns, over %llu MiB\n",
                 chase.load_ns, (unsigned long long)(chase.bytes >> 20));
    (void)printf(
        "load     %llu keys, records of %u B in memory; ns per key over the wall clock\n\n",
        (unsigned long long)arguments->keys, RECORD_BYTES);
    (void)printf("%-14s %14s %8s %7s %22s %7s %17s %6s %17s\n", "", "get", "", "absent", "put",
                 "seek", "scan", "build", "bytes/key");
    (void)printf("%-14s %7s %6s %8s %7s %7s %7s %6s %7s %8s %8s %6s %8s %8s\n", "threads", "1", "2",
                 "1, by 8", "1", "1", "2", "again", "+ 10", "address", "+ key", "1", "put",
                 "built");
}

static void print_row(const struct load *load, const struct results *results)
{
    (void)printf(
        "%-14s %7.0f %6.0f %8.0f %7.0f %7.0f %7.0f %6.0f %7.0f %8.1f %8.1f %6.0f %8.1f %8.1f\n",
        load->name, results->get_ns, results->get_two_ns, results->get_batch_ns, results->absent_ns,
        results->put_ns, results->put_two_ns, results->put_again_ns, results->seek_ns,
        results->scan_ns, results->scan_keys_ns, results->build_ns, results->used_bytes,
        results->built_bytes);
    (void)fflush(stdout);
}

enum { KEY_KEYS = 256, KEY_ONLY, KEY_JSON, KEY_FORCE };

static const struct argp_option option_table[] = {
    {"keys", KEY_KEYS, "N", 0, "How many (default 1000000)", 0},
    {"only", KEY_ONLY, "random|ascending|user|URLs", 0, "One kind of keys", 0},
    {"json", KEY_JSON, NULL, 0, "One line of JSON for each kind of keys", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_KEYS:
        return option_count(state, "--keys", value, 2, UINT64_C(99999999), &arguments->keys);
    case KEY_ONLY:
        arguments->only = value;
        return 0;
    case KEY_JSON:
        arguments->json = true;
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
        .doc = "Measures the ordered index of the engine over records in memory.",
    };
    struct arguments arguments = {.keys = 1000000};
    (void)argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (!bench_build_is_fit(arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    struct bench_environment environment;
    bench_environment_read(&environment, ".");
    struct bench *bench = base_alloc_aligned(BASE_CACHE_LINE, sizeof *bench);
    size_t bytes = (arguments.keys + 1) * RECORD_BYTES;
    struct record *records = base_pages_alloc(bytes, BASE_PAGES_HUGE);
    if (bench == NULL || records == NULL) {
        fail("no memory");
    }
    if (!arguments.json) {
        print_head(&arguments, &environment);
    }
    for (size_t index = 0; index < LOADS; index++) {
        const struct load *load = &loads[index];
        struct results results;
        if (arguments.only != NULL &&
            strncmp(load->name, arguments.only, strlen(arguments.only)) != 0) {
            continue;
        }
        *bench = (struct bench){.load = load, .count = arguments.keys, .records = records};
        fill(bench);
        measure(bench, &results);
        if (arguments.json) {
            print_json(load, &results, &arguments, &environment);
        } else {
            print_row(load, &results);
        }
    }
    base_pages_free(records, bytes);
    base_free(bench);
    return BENCH_EXIT_OK;
}
