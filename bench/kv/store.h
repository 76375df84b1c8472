/*
 * A key-value store under test: a small table of functions. One file for each store; Weir is one of
 * them, so that all go through the same loops, the same keys and values and the same clock.
 *
 *     open → writer_open (one for each thread) → put ... → sync → writer_close
 *          → reader_open (one for each thread) → get ..., scan → reader_close → close
 *
 * Calls return 0 or a negative number; kv_fail() keeps the store's own words for the report.
 */
#ifndef BENCH_KV_STORE_H
#define BENCH_KV_STORE_H

#include <weir/engine.h>

#include <string.h>

#define KV_TEXT_MAX 240
#define KV_BATCH_MAX 1024u /* keys that are asked for at once */

struct kv_settings {
    char directory[512]; /* exists, empty when created */
    uint64_t log_bytes;  /* that are going to be written: make room before the clock starts */
    bool durable;        /* each put will be */
    bool mixed;          /* reads and writes at once: each put is on its own and seen by all */
    bool read_mode;      /* filled once, then read: set up for reading */
    bool ascending;      /* keys come in ascending order */
    bool no_checkpoint;  /* Weir: rebuild from the log alone */
    unsigned threads;    /* Weir: of a rebuild; 0: the default */
    enum weir_medium_kind medium; /* Weir, and so on */
    enum weir_io_kind io;
    uint64_t segment_bytes;
    bool emulated_pmem;
};

struct kv_pair {
    struct weir_bytes key, value;
};

/* What reads do with each row: touch key and value, and count. */
struct kv_tally {
    uint64_t rows;
    uint64_t bytes;
};

/* Loads the first bytes of what a store lends. Nothing is made of them: a sum in memory cost more
 * than a row of an ordered scan does. */
static inline void kv_touch(struct kv_tally *tally, const void *data, size_t size)
{
    uint64_t first = 0;
    if (size >= sizeof first) {
        memcpy(&first, data, sizeof first); /* one load: no call that every store would pay for */
    } else {
        memcpy(&first, data, size);
    }
    __asm__ volatile("" : : "r"(first)); /* or the compiler leaves it out */
    tally->bytes += size;
}

/* A scan counts in a tally of its own, which the compiler keeps in registers, and adds it at the
 * end: one that its caller knows, too, would be stored and loaded again for each row. */
static inline void kv_add(struct kv_tally *tally, const struct kv_tally *seen)
{
    tally->rows += seen->rows;
    tally->bytes += seen->bytes;
}

/* What a store says about itself; what it does not know stays 0. */
struct kv_facts {
    char medium[16], io[16];
    bool durable, emulated;
    uint64_t keys, deleted_keys, index_bytes;
    uint64_t window_bytes; /* of the log, whatever the number of keys */
    bool from_checkpoint;
    uint64_t replayed_records;
    double open_log_s, load_s, walk_s, sort_s, build_s, replay_s, engine_s; /* of opening */
};

struct kv_ops {
    const char *name;     /* "lmdb" */
    const char *title;    /* "LMDB" */
    const char *settings; /* how it is set up, in a sentence: printed with the results */
    bool open_consumes;   /* opening after a crash changes what the next opening has to do */

    int (*open)(const struct kv_settings *settings, bool create, void **ret_store);
    void (*close)(void *store);
    void (*facts)(void *store, struct kv_facts *ret_facts);
    /* The store is filled and will be read: what it does best for that. May be NULL. */
    int (*settle)(void *store);
    int (*checkpoint)(void *store); /* NULL: it has none */

    int (*writer_open)(void *store, void **ret_writer);
    void (*writer_close)(void *writer);
    /* Each pair a put of its own, durable when it returns if asked. */
    int (*put)(void *writer, const struct kv_pair *pairs, unsigned count, bool durable);
    int (*remove)(void *writer, struct weir_bytes key); /* not durable; an absent key is fine */
    int (*sync)(void *writer); /* makes everything durable that this writer has put */

    int (*reader_open)(void *store, void **ret_reader); /* NULL: it cannot be read */
    void (*reader_close)(void *reader);
    /* What was put since reader_open, or since the last refresh, may be invisible without it. */
    int (*refresh)(void *reader);
    /* Finds all of them; -ENOENT when one is absent. */
    int (*get)(void *reader, const struct weir_bytes *keys, unsigned count, struct kv_tally *tally);
    /* The same, `batch` of them with each call of the store; NULL: it has no such call. */
    int (*get_batch)(void *reader, const struct weir_bytes *keys, unsigned count, unsigned batch,
                     struct kv_tally *tally);
    int (*scan)(void *reader, struct kv_tally *tally); /* all rows in order */
};

/* Weir, and its log alone: puts are appends of as many bytes. */
extern const struct kv_ops kv_weir;
extern const struct kv_ops kv_log;

/* The other systems, when the program has them: NULL ends the list. */
void kv_register_peers(const struct kv_ops *const *peers);
const struct kv_ops *kv_find(const char *name);
bool kv_has_peers(void); /* registered, if only an empty list */

/* Remembers why, for the report; returns -EIO. The first one counts: it is the cause. */
__attribute__((format(printf, 1, 2))) int kv_fail(const char *format, ...);
const char *kv_failure(void);

#endif
