/*
 * The plan of a rebuild: which bucket a key belongs to.
 *
 * Happy path: some thousand records, spread over the log by chance, are read through the directory
 * of their segments; their keys, in order, are cut into pieces of eight samples. The keys between
 * two cuts share the bytes that the cuts share, so a bucket keeps the 8 bytes behind those. A key
 * finds its bucket by 8 bytes behind what all cuts of its table share: a table leads to the few
 * cuts that may be meant.
 *
 * Failure modes: records that cannot be read are left out; the walk meets them again and says so.
 * Samples that mislead make buckets uneven, which costs time.
 *
 * Invariants: the plan changes nothing but time; splitters ascend strictly; they are lent by
 * segments that stay pinned.
 */
#include "engine/rebuild.h"

#include "base/random.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MAX 4096u
#define SAMPLES_PER_BUCKET 8u

struct sample {
    struct index_key key;
    uint64_t word; /* its first 8 bytes: the rest lies in pages that are far from each other */
    weir_table table;
    bool taken;
};

struct rebuild_samples {
    struct sample *samples;
    weir_lsn *lsns; /* of each */
    uint32_t most, at_once;
    _Atomic uint32_t next; /* to be taken */
};

/* So often a thread takes some: of segments that lie apart, as who maps one keeps others waiting.
 */
#define SAMPLE_TURNS 8u

int rebuild_compare(struct index_key left, struct index_key right, uint32_t from)
{
    uint32_t common = key_common(left, right, from);
    if (common == left.size || common == right.size) {
        return (left.size > right.size) - (left.size < right.size);
    }
    return left.data[common] < right.data[common] ? -1 : 1;
}

static int compare_samples(const void *left, const void *right)
{
    const struct sample *a = left, *b = right;
    if (a->table != b->table) {
        return a->table < b->table ? -1 : 1;
    }
    if (a->word != b->word) {
        return a->word < b->word ? -1 : 1;
    }
    return rebuild_compare(a->key, b->key, 0);
}

static bool take_sample(struct weir_engine *engine, weir_lsn lsn, struct sample *ret_sample)
{
    uint64_t address;
    struct weir_record record;
    struct record_key key;
    if (wal_address_near(engine->log, lsn, &address) < 0 ||
        place_read(&engine->places, address, &record) < 0 || record.type != WEIR_TYPE_CHANGE ||
        record_read_key(&record, &key) < 0 || key.table >= WEIR_TABLES_MAX) {
        return false;
    }
    *ret_sample = (struct sample){.key = {key.data, key.size},
                                  .word = rebuild_word(key.data, key.size, 0),
                                  .table = key.table,
                                  .taken = true};
    return true;
}

/* Each is in a page of its own that nobody has looked at: threads share that. */
static void take_samples(struct rebuild *rebuild, bool asks)
{
    struct rebuild_samples *all = rebuild->samples;
    uint32_t first;
    (void)asks; /* some milliseconds */
    while ((first = atomic_fetch_add_explicit(&all->next, all->at_once, memory_order_relaxed)) <
           all->most) {
        uint32_t end = first + all->at_once < all->most ? first + all->at_once : all->most;
        for (uint32_t i = first; i < end; i++) {
            (void)take_sample(rebuild->engine, all->lsns[i], &all->samples[i]);
        }
    }
}

/* One from each piece of the log, as far as they can be had: how many. They are in order then. */
static uint32_t collect_samples(struct rebuild *rebuild, struct rebuild_samples *all)
{
    struct base_prng prng;
    base_prng_seed(&prng, rebuild->to);
    uint64_t step = (rebuild->to - rebuild->from) / all->most;
    for (uint32_t i = 0; i < all->most; i++) {
        all->lsns[i] = rebuild->from + i * step + base_prng_below(&prng, step + 1);
    }
    rebuild->samples = all;
    rebuild_run(rebuild, take_samples);
    rebuild->samples = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < all->most; i++) {
        if (all->samples[i].taken) {
            all->samples[count++] = all->samples[i];
        }
    }
    qsort(all->samples, count, sizeof *all->samples, compare_samples);
    return count;
}

/* ---- a partition ---- */

static uint32_t begin_of(const struct rebuild_partition *partition, uint64_t word)
{
    uint64_t entry = word > partition->base ? (word - partition->base) >> partition->shift : 0;
    return entry < REBUILD_BEGINS ? (uint32_t)entry : REBUILD_BEGINS - 1;
}

static void fill_begins(struct rebuild_partition *partition)
{
    uint32_t count = partition->splitter_count;
    uint64_t span = partition->words[count - 1] - partition->words[0];
    partition->base = partition->words[0];
    while (span >> partition->shift >= REBUILD_BEGINS) {
        partition->shift++;
    }
    uint32_t splitter = 0;
    for (uint32_t entry = 0; entry <= REBUILD_BEGINS; entry++) {
        while (splitter < count && begin_of(partition, partition->words[splitter]) < entry) {
            splitter++;
        }
        partition->begins[entry] = splitter;
    }
}

/* Chooses among the samples of one table, at least two different ones: the least, the greatest,
 * and some between. */
static void choose_splitters(struct rebuild_partition *partition, const struct sample *samples,
                             uint32_t count)
{
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool wanted = i % SAMPLES_PER_BUCKET == 0 || i == count - 1;
        if (wanted && (chosen == 0 ||
                       rebuild_compare(partition->splitters[chosen - 1], samples[i].key, 0) < 0)) {
            partition->splitters[chosen++] = samples[i].key;
        }
    }
    partition->splitter_count = chosen;
    partition->shared = key_common(partition->splitters[0], partition->splitters[chosen - 1], 0);
    for (uint32_t i = 0; i < chosen; i++) {
        struct index_key key = partition->splitters[i];
        partition->words[i] = rebuild_word(key.data, key.size, partition->shared);
    }
    partition->words[chosen] = UINT64_MAX;
    fill_begins(partition);
}

/* Where a key would end within the 8 bytes behind what the splitters share, that is skipped which
 * all of the table share: so that short keys are whole. */
static void note_prefixes(struct rebuild_plan *plan, const struct rebuild_partition *partition)
{
    struct rebuild_prefix *prefixes = &plan->prefixes[partition->first];
    prefixes[0] = prefixes[partition->splitter_count] = (struct rebuild_prefix){NULL, 0};
    for (uint32_t i = 1; i < partition->splitter_count; i++) {
        struct index_key low = partition->splitters[i - 1];
        uint32_t common = key_common(low, partition->splitters[i], partition->shared);
        bool worth = low.size >= common + sizeof(uint64_t);
        prefixes[i] = (struct rebuild_prefix){low.data, worth ? common : partition->shared};
    }
}

static int add_partition(struct rebuild_plan *plan, const struct sample *samples, uint32_t count)
{
    struct rebuild_partition *partition = &plan->partitions[plan->partition_count];
    uint32_t most = count / SAMPLES_PER_BUCKET + 2;
    *partition = (struct rebuild_partition){.first = plan->buckets};
    partition->splitters = base_alloc_array(most, sizeof *partition->splitters);
    partition->words = base_alloc_array(most + 1, sizeof *partition->words);
    partition->begins = base_alloc_array(REBUILD_BEGINS + 1, sizeof *partition->begins);
    plan->partition_count++;
    if (partition->splitters == NULL || partition->words == NULL || partition->begins == NULL) {
        return -ENOMEM;
    }
    choose_splitters(partition, samples, count);
    plan->buckets += partition->splitter_count + 1;
    note_prefixes(plan, partition);
    for (uint32_t i = partition->first; i < plan->buckets; i++) {
        plan->skips[i] = plan->prefixes[i].size;
    }
    plan->of_table[samples[0].table] = partition;
    return 0;
}

static bool is_worth_a_partition(const struct sample *samples, uint32_t count)
{
    return count >= SAMPLES_PER_BUCKET &&
           rebuild_compare(samples[0].key, samples[count - 1].key, 0) != 0;
}

static int divide(struct rebuild_plan *plan, const struct sample *samples, uint32_t count)
{
    uint32_t most = count / SAMPLES_PER_BUCKET + 1;
    plan->partitions = base_alloc_array(most, sizeof *plan->partitions);
    plan->prefixes = base_alloc_array((size_t)most * 4, sizeof *plan->prefixes);
    plan->skips = base_alloc_array((size_t)most * 4, sizeof *plan->skips);
    int rc =
        plan->partitions != NULL && plan->prefixes != NULL && plan->skips != NULL ? 0 : -ENOMEM;
    for (uint32_t first = 0, end; first < count && rc == 0; first = end) {
        for (end = first; end < count && samples[end].table == samples[first].table; end++) {
        }
        if (is_worth_a_partition(&samples[first], end - first)) {
            rc = add_partition(plan, &samples[first], end - first);
        }
    }
    return rc;
}

int rebuild_plan_make(struct rebuild *rebuild)
{
    uint64_t records = rebuild->to - rebuild->from + 1;
    uint64_t wanted = records / REBUILD_BUCKET_ENTRIES;
    if (wanted < 2) {
        return 0;
    }
    uint32_t most = (uint32_t)(wanted < BUCKETS_MAX ? wanted : BUCKETS_MAX) * SAMPLES_PER_BUCKET;
    struct rebuild_samples all = {.most = most,
                                  .at_once = most / (rebuild->threads_wanted * SAMPLE_TURNS) + 1};
    all.samples = base_alloc_array(most, sizeof *all.samples);
    all.lsns = base_alloc_array(most, sizeof *all.lsns);
    int rc = all.samples != NULL && all.lsns != NULL ? 0 : -ENOMEM;
    if (rc == 0) {
        uint32_t count = collect_samples(rebuild, &all);
        rc = divide(&rebuild->plan, all.samples, count);
    }
    base_free(all.samples);
    base_free(all.lsns);
    return rc;
}

void rebuild_plan_free(struct rebuild_plan *plan)
{
    for (uint32_t i = 0; i < plan->partition_count; i++) {
        base_free(plan->partitions[i].splitters);
        base_free(plan->partitions[i].words);
        base_free(plan->partitions[i].begins);
    }
    base_free(plan->partitions);
    base_free(plan->prefixes);
    base_free(plan->skips);
}

/* ---- finding a bucket ---- */

/* Of the splitters [low, high), which are not less in their words: the first one that is greater
 * than the key. */
static __attribute__((noinline)) uint32_t pass_equal(const struct rebuild_partition *partition,
                                                     uint32_t low, uint32_t high, uint64_t word,
                                                     struct index_key key)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (partition->words[middle] == word &&
            rebuild_compare(partition->splitters[middle], key, partition->shared) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A key that does not share what the splitters share lies outside of all of them. */
static __attribute__((noinline)) uint32_t outside(const struct rebuild_partition *partition,
                                                  struct index_key key)
{
    return rebuild_compare(key, partition->splitters[0], 0) < 0 ? 0 : partition->splitter_count;
}

uint32_t rebuild_plan_split(const struct rebuild_partition *partition, const uint8_t *key,
                            uint32_t size)
{
    uint32_t shared = partition->shared;
    if (__builtin_expect(size < shared || (shared != 0 &&
                                           memcmp(key, partition->splitters[0].data, shared) != 0),
                         0)) {
        return partition->first + outside(partition, (struct index_key){key, size});
    }
    uint64_t word = rebuild_word(key, size, shared);
    uint32_t entry = begin_of(partition, word);
    uint32_t low = partition->begins[entry], high = partition->begins[entry + 1];
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        low = partition->words[middle] < word ? middle : low;
        high = partition->words[middle] < word ? high : middle;
    }
    /* Without a branch that nobody could predict. Behind the last one there is a greatest one. */
    low += partition->words[low] < word ? 1 : 0;
    if (__builtin_expect(partition->words[low] == word, 0)) {
        low = pass_equal(partition, low, partition->begins[entry + 1], word,
                         (struct index_key){key, size});
    }
    return partition->first + low;
}
