/*
 * Rebuild: an index from the whole log at once. Its parts, in the order of the work:
 *
 *   rebuild.c         who does what: threads, progress, errors, tables, the report
 *   rebuild_plan.c    samples of the log's keys; from them, which bucket a key belongs to
 *   rebuild_walk.c    one pass over the log: 16 bytes for each change into its bucket
 *   rebuild_sort.c    a bucket in order
 *   rebuild_build.c   the newest of each key, in order, into the tree; the trees into one
 *   rebuild_resolve.c keys that agree in the 8 bytes that a bucket keeps of each
 */
#ifndef ENGINE_REBUILD_H
#define ENGINE_REBUILD_H

#include "engine/engine.h"
#include "engine/index_build.h"
#include "engine/node.h"

#define REBUILD_THREADS_MAX 8u
#define REBUILD_PIECES_PER_THREAD 32u
#define REBUILD_PIECES_MAX (REBUILD_THREADS_MAX * REBUILD_PIECES_PER_THREAD)
#define REBUILD_BUCKET_ENTRIES 8192u /* about; what fits into a second-level cache, twice */

/* ---- what is kept of a change ---- */

struct rebuild_entry {
    uint64_t word;  /* 8 bytes of its key behind the bucket's prefix, the first one highest */
    uint64_t place; /* its address, and REBUILD_DELETED */
};

#define REBUILD_DELETED UINT64_C(1)
#define REBUILD_CHUNK_ENTRIES 127u

/* A bucket's entries, in the order of the log. */
struct rebuild_chunk {
    struct rebuild_chunk *next;
    uint64_t count; /* set when it is full, or at the end of the walk */
    struct rebuild_entry entries[REBUILD_CHUNK_ENTRIES];
};

struct rebuild_bucket {
    alignas(BASE_CACHE_LINE) struct rebuild_entry *next; /* in `last` */
    struct rebuild_entry *end;
    struct rebuild_chunk *first, *last;
    uint64_t count;                 /* in full chunks; in all of them at the end of the walk */
    uint32_t size_least, size_most; /* of its keys */
};

/* ---- the plan ---- */

/* How the keys of one table are divided. Splitters ascend; bucket i holds the keys from splitter
 * i - 1 on to splitter i, the first and the last one all that are outside. */
struct rebuild_partition {
    uint32_t first; /* its first bucket */
    uint32_t splitter_count;
    struct index_key *splitters; /* lent by the log */
    uint64_t *words;             /* of the splitters, behind what all share; UINT64_MAX */
    uint32_t shared;
    uint64_t base;    /* of words that have an entry in `begins` */
    uint32_t shift;   /* from a word to its entry */
    uint32_t *begins; /* the first splitter of each entry; REBUILD_BEGINS + 1 */
};

#define REBUILD_BEGINS 8192u

/* The bytes that all keys of a bucket share, as the plan knows them. */
struct rebuild_prefix {
    const uint8_t *data;
    uint32_t size;
};

struct rebuild_plan {
    uint32_t buckets;                /* those of the partitions; one for each other table follows */
    struct rebuild_prefix *prefixes; /* of each of `buckets` */
    uint32_t *skips;                 /* the sizes of the prefixes, side by side */
    struct rebuild_partition *partitions;
    uint32_t partition_count;
    struct rebuild_partition *of_table[WEIR_TABLES_MAX]; /* NULL: none was sampled */
};

/* ---- one range of the log, walked by one thread ---- */

struct rebuild_slab;

/* What a thread takes chunks from, in all ranges that it walks. */
struct rebuild_memory {
    struct rebuild_slab *slabs;
    uint8_t *next, *end; /* of the first one, what is left */
};

struct rebuild_table {
    weir_lsn lsn;
    weir_table number;
    char name[WEIR_TABLE_NAME_MAX + 1];
};

struct rebuild_range {
    alignas(BASE_CACHE_LINE) struct rebuild *rebuild; /* its neighbours are other threads' */
    weir_lsn from, end;                               /* [from, end) */
    struct rebuild_bucket *buckets;
    uint32_t bucket_end;           /* behind the last one that has entries */
    struct rebuild_memory *memory; /* of the thread that walks it */
    weir_lsn *used; /* for each table: its first change that is not behind its name; 0 = none */
    bool *named;    /* for each table: in this range */
    struct rebuild_table *tables; /* those that are named here, in order */
    uint32_t table_count, table_capacity;
    uint64_t records, bytes, entries;
    struct gap_count gaps;
    struct engine_gaps accepted; /* what the last acceptance in it says */
    _Atomic uint64_t progress;   /* of its LSNs, published now and then */
    struct weir_error why;
    weir_lsn failed_lsn;
    int rc;
};

/* ---- buckets that one thread sorts and builds one tree of ---- */

struct rebuild_part {
    struct engine_table *table;
    uint32_t first, end; /* buckets */
    uint64_t root, keys, deleted;
};

/* Threads are never equally fast. So work is dealt out in portions that become smaller, down to a
 * piece: whoever is done first waits for the others about as long as one takes. Guided
 * self-scheduling (Polychronopoulos and Kuck, IEEE Transactions on Computers C-36, 1987), half a
 * thread's share of what is left at a time. Returns 1 or more; `left` is that, too. */
static inline uint64_t rebuild_portion(uint64_t left, uint64_t piece, uint32_t threads)
{
    uint64_t portion = threads > 1 ? left / (2 * (uint64_t)threads) : left;
    return portion > piece ? portion : piece;
}

/* What a thread sorts and builds with. */
struct rebuild_worker {
    struct rebuild *rebuild;
    struct rebuild_part *part;
    uint64_t deleted; /* keys of the part; parts share cache lines, and other threads have those */
    struct index_builder builder;
    struct rebuild_entry *sorted, *scratch;
    size_t capacity; /* entries of each */
    uint32_t *counts;
    uint8_t *key; /* a bucket's prefix, and room for a word behind it */
    uint64_t sort_ns, build_ns;
};

struct rebuild_samples; /* rebuild_plan.c */

struct rebuild {
    struct weir_engine *engine;
    bool into_empty; /* nothing was loaded: trees are built; else the keys are put one by one */
    weir_lsn from, to;
    struct rebuild_plan plan;
    uint32_t bucket_count;
    uint32_t threads_wanted, threads; /* those that there were */
    uint32_t range_count, range_most, part_count;
    struct rebuild_range *ranges; /* room for range_most */
    struct rebuild_part *parts;
    uint64_t log_bytes;
    bool asked;
    uint64_t asked_ns; /* when progress was reported last */
    struct rebuild_samples *samples;
    _Atomic uint32_t next_range;   /* to be walked, behind the first one */
    _Atomic uint32_t next_part;    /* to be built */
    _Atomic uint32_t failed_range; /* the first one that failed: ranges behind it stop */
    _Atomic int failed;            /* while building; -ECANCELED at any time */
    struct base_lock lock;
    struct rebuild_slab *slabs; /* of all threads, when they have walked */
    uint64_t sort_ns, build_ns; /* of all threads */
};

/* ---- keys ---- */

/* 8 bytes of a key from `from` <= size on, zeros behind its end. */
static inline uint64_t rebuild_word(const uint8_t *key, uint32_t size, uint32_t from)
{
    uint32_t left = size - from;
    if (__builtin_expect(left >= sizeof(struct le64), 1)) {
        return __builtin_bswap64(le64_load((const struct le64 *)(const void *)(key + from)));
    }
    if (size >= sizeof(struct le64) && left > 0) { /* the last 8 bytes, without those in front */
        const uint8_t *last = key + size - sizeof(struct le64);
        uint64_t word = __builtin_bswap64(le64_load((const struct le64 *)(const void *)last));
        return word << (64 - 8 * left);
    }
    uint64_t word = 0;
    for (uint32_t i = 0; i < left; i++) {
        word |= (uint64_t)key[from + i] << (56 - 8 * i);
    }
    return word;
}

/* Of keys that agree in front of `from`. */
int rebuild_compare(struct index_key left, struct index_key right, uint32_t from);

/* The key at an address that the walk has come past. */
int rebuild_load_key(struct weir_engine *engine, uint64_t address, struct index_key *ret_key);

/* ---- rebuild.c ---- */

/* Between two pieces of work: 0, or why to stop. `asks`: this thread may call progress. */
int rebuild_check(struct rebuild *rebuild, bool asks);

/* Remembers an error of building, the first one. */
void rebuild_fail(struct rebuild *rebuild, int rc);

/* Runs work() here and, as far as they can be had, in as many threads as are wanted. `asks` is true
 * here. */
void rebuild_run(struct rebuild *rebuild, void (*work)(struct rebuild *rebuild, bool asks));

/* ---- the steps ---- */

int rebuild_plan_make(struct rebuild *rebuild);
void rebuild_plan_free(struct rebuild_plan *plan);
uint32_t rebuild_plan_split(const struct rebuild_partition *partition, const uint8_t *key,
                            uint32_t size);

void rebuild_walk(struct rebuild_range *range, struct rebuild_memory *memory, bool asks);
void rebuild_walk_free(struct rebuild_range *range);
/* Hands over what the ranges of a thread lie in; gives all of it back. */
void rebuild_memory_keep(struct rebuild *rebuild, const struct rebuild_memory *memory);
void rebuild_memory_free(struct rebuild *rebuild);

/* Sorts by words, stably: `source` holds what is to be sorted, and is overwritten. Up to
 * REBUILD_COUNTS counts. */
#define REBUILD_COUNTS 16384u
void rebuild_sort(struct rebuild_entry *target, struct rebuild_entry *source, size_t count,
                  uint32_t *counts);

void rebuild_build(struct rebuild_worker *worker, bool asks);
int rebuild_join(struct rebuild *rebuild);

/* Hands over a key of the part's table: newer than all others of this key, greater than the last
 * one. */
int rebuild_emit(struct rebuild_worker *worker, struct index_key key, uint64_t place);

/* Entries whose keys agree in their words and in front of `known`. */
struct rebuild_run {
    struct rebuild_entry *entries, *scratch; /* as much room */
    size_t count;
    uint32_t known;
};

/* Hands them over, in order. */
int rebuild_resolve(struct rebuild_worker *worker, const struct rebuild_run *run, uint32_t depth);

#endif
