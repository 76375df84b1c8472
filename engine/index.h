/*
 * The ordered index: key -> address of the newest record of that key in the log.
 *
 * An adaptive radix tree over byte strings of 0 to 65536 bytes; a key may be a prefix of another.
 * Keys are not stored: a leaf is the address and one byte of the key (engine/leaf.h), and the key
 * of the record at an address is loaded through index_source whenever it has to be compared.
 *
 *     struct index index;
 *     index_init(&index, &arena, &(struct index_source){.load = load_key, .context = log});
 *     uint32_t slot = epoch_enter(index.epochs);
 *     int rc = index_find(&index, (struct index_key){data, size}, &address);
 *     epoch_leave(index.epochs, slot);
 *
 * Every call but init and drop is made inside an epoch section, writers included. Addresses are
 * multiples of 8, not 0 and less than 2^62.
 *
 * Threads: any number of readers, which never wait, and of writers, which wait for each other at
 * single nodes. Two writers never change the same key at the same time: the caller sees to that.
 */
#ifndef ENGINE_INDEX_H
#define ENGINE_INDEX_H

#include "engine/arena.h"
#include "engine/epoch.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_KEY_SIZE_MAX 65536u
#define INDEX_ADDRESS_ALIGN 8u
#define INDEX_ADDRESS_MAX ((UINT64_C(1) << 62) - 8)

struct index_key {
    const uint8_t *data;
    uint32_t size;
};

/*
 * Loads the key of the record at an address. The bytes stay valid until the section of the caller
 * ends. 0, or a negative error (damage), which the operation returns.
 */
typedef int (*index_load_fn)(void *context, uint64_t address, struct index_key *ret_key);

struct index_source {
    index_load_fn load;
    void (*prefetch)(void *context, uint64_t address); /* a hint; may be NULL */
    /* May shortcuts lead to this address? NULL: none. engine/shortcut.h. */
    bool (*claim)(void *context, uint64_t address);
    void *context;
};

#define INDEX_COUNTERS 8

/* The keys that some of the threads have added and removed. */
struct index_counter {
    alignas(BASE_CACHE_LINE) _Atomic int64_t keys;
};

struct shortcut_map;
struct engine_shortcuts;

struct index {
    struct engine_arena *arena;
    struct engine_epochs *epochs; /* those of the arena */
    struct index_source source;
    struct engine_shortcuts *shortcuts;             /* NULL: it has none */
    _Atomic(struct shortcut_map *) shortcut_map;    /* engine/shortcut.h; NULL while */
    _Atomic(struct shortcut_map *) shortcut_coming; /* there is none */
    _Atomic uint64_t root_header;                   /* the lock of `root`, as in a node */
    _Atomic uint64_t root;                          /* 0, a leaf or a node: engine/node.h */
    struct index_counter counters[INDEX_COUNTERS];
    /* Gets, about, since a map of shortcuts was made: apart from what every get reads. */
    alignas(BASE_CACHE_LINE) _Atomic uint64_t shortcut_missed;
    struct base_lock shortcut_growing;
};

void index_init(struct index *index, struct engine_arena *arena, const struct index_source *source);

/* Takes over what index_builder_finish(), index_join() or a saved image gave. */
void index_adopt(struct index *index, uint64_t root, uint64_t keys);

/* How many keys there are; while others write, about how many. */
uint64_t index_keys(struct index *index);

/* Frees all nodes of the tree, which is empty afterwards. Nobody else uses it. */
void index_drop(struct index *index);

/* The only address that the key may have: its record tells whether it is this key's. False: the key
 * is absent; of nearly all that are, the index alone tells. Wait-free, and loads nothing. */
bool index_candidate(const struct index *index, struct index_key key, uint64_t *ret_address);

#define INDEX_LANES 8u /* more at once wait for the memory's throughput, not for its latency */

/* A key that is looked up beside others, each in an index of its own or in the same one. */
struct index_lane {
    const struct index *index;
    struct index_key key;
    uint64_t address; /* out: as of index_candidate(), or 0 */
};

/* index_candidate() for up to INDEX_LANES keys: their cache misses are waited for together. All
 * indexes are of one arena. Wait-free, and loads nothing. */
void index_candidates(struct index_lane *lanes, unsigned count);

/* 1 found, 0 absent, < 0 what load() returned. Wait-free. */
int index_find(struct index *index, struct index_key key, uint64_t *ret_address);

/*
 * Sets key -> address. *ret_old is the address before, or 0. 0, -ENOMEM (nothing has changed),
 * -EINVAL (a key that is too long), -EFBIG (an address with bits that arena_spare() says are 0) or
 * what load() returned.
 */
int index_put(struct index *index, struct index_key key, uint64_t address, uint64_t *ret_old);

/* Puts memory into a private region (zero it first) with which so many puts cannot fail for want of
 * it: a put makes one node at most. False: it is not to be had. Close the region in either case. */
bool index_stock(struct engine_arena *arena, struct arena_region *region, uint64_t puts);

/* As index_put(), with memory of that region, or NULL. */
int index_put_from(struct index *index, struct arena_region *region, struct index_key key,
                   uint64_t address, uint64_t *ret_old);

/* A slot and the header that guards it; slot is NULL where a node has none for the byte. */
struct index_slot {
    _Atomic uint64_t *header;
    _Atomic uint64_t *slot;
};

/* Where a key is or belongs, as it was found without a lock: engine/descent.h. */
struct index_descent {
    struct index_slot up; /* where `node` hangs */
    uint32_t up_next;     /* descent_next() of that place */
    uint64_t node;        /* the word of the node that `at` is in, 0 for the slot of the root */
    struct index_slot at; /* where the key belongs */
    uint32_t byte;        /* of `at` in the node, or NODE_END */
    uint64_t word;        /* what was in it: 0, a leaf, or a node whose way parts from the key */
    uint32_t common;      /* then: where */
    uint8_t path_byte;    /* and the byte of the way there */
    bool skipped;         /* bytes were taken for equal */
    bool is_key;          /* of a put: the leaf is known to be this key's */
    struct arena_region *region; /* of a put: where a new node is made, or NULL */
};

/*
 * Finds where a key is or belongs, for an index_put_at() in the same section. 1: *ret_address is
 * the only address that the key may have, as index_candidate() has it; 0: the key is absent; < 0
 * what load() returned.
 */
int index_descend(struct index *index, struct index_key key, struct index_descent *ret_descent,
                  uint64_t *ret_address);

/* As index_put_from(), beginning where the key was found to be or to belong; others may have
 * changed that place meanwhile. */
int index_put_at(struct index *index, const struct index_descent *descent, struct index_key key,
                 uint64_t address, uint64_t *ret_old);

/*
 * Moves key from one address to another, as compaction does. 1 done, 0 it is not `from` any more,
 * -EFBIG as index_put().
 * `from` is or was an address of this key.
 */
int index_replace(struct index *index, struct index_key key, uint64_t from, uint64_t to);

/* 1 removed, 0 the key is not at `expected`, which is or was an address of this key. */
int index_remove(struct index *index, struct index_key key, uint64_t expected);

/* Where an iteration begins. */
enum index_seek {
    INDEX_GE, /* ascending from the first key >= bound */
    INDEX_GT,
    INDEX_LE, /* descending from the last key <= bound */
    INDEX_LT,
    INDEX_FIRST, /* bound is ignored */
    INDEX_LAST,
};

#define INDEX_LEVELS 64

/* A node on the way down to the position, with what is still to come in it. */
struct index_level {
    uint64_t word;
    uint64_t rest[4];  /* a bit for each byte; a quarter counts once it is ready */
    uint64_t ahead[4]; /* those of them that lead to nodes which were not fetched yet */
    uint8_t ready;     /* a bit for each quarter */
    uint8_t fetched;   /* nodes that were fetched and not taken yet: about so many */
    uint8_t cut;       /* what a seek came down by: only what is beyond it is to come */
    bool is_cut;
    bool descending;
    bool end; /* descending: the key that ends here comes last */
};

/*
 * Iteration, inside one epoch section. Every key that is there all the time is seen; what changes
 * meanwhile may or may not be; no key comes twice or out of order. Allocates nothing: the state is
 * bounded, and where a tree is deeper it finds its way again from the last key.
 * After the caller has left its section, it has to seek again.
 */
struct index_iterator {
    struct index *index;
    uint64_t last;    /* the leaf that was returned last, 0 before */
    uint64_t pending; /* the subtree or leaf that comes before all levels, 0 for none */
    uint32_t first;   /* the oldest level kept */
    uint32_t count;   /* levels kept */
    bool descending;
    bool dropped;        /* levels were dropped: when the others are used up, seek again */
    bool placed;         /* a seek succeeded */
    bool bounded;        /* it had a bound */
    uint64_t listed;     /* the node whose bytes have these places, 0 for none */
    uint8_t places[256]; /* only of bytes that it has */
    struct index_level levels[INDEX_LEVELS];
};

void index_iterator_init(struct index_iterator *iterator, struct index *index);

/* 0 or what load() returned. */
int index_seek(struct index_iterator *iterator, struct index_key bound, enum index_seek mode);

/*
 * The next addresses in ascending order: how many, 0 at the end, < 0 what load() returned.
 * Turning round is allowed once something was returned, and goes on beside the key that was
 * returned last. -EINVAL: no seek, or one for the other direction and nothing returned yet.
 * -EAGAIN: in a tree deeper than INDEX_LEVELS, all that was ahead was removed before anything was
 * returned: seek again.
 */
int index_next_batch(struct index_iterator *iterator, uint64_t *ret_addresses, int max);
int index_previous_batch(struct index_iterator *iterator, uint64_t *ret_addresses, int max);

/* What an index and its arena hold. */
struct index_stats {
    uint64_t keys;
    uint64_t nodes[8]; /* of 2, 4, 6, 16, 32, 64, 128 and 256 entries; those retired included */
    uint64_t bytes_live;
    uint64_t bytes_free;
    uint64_t bytes_used;
};

void index_read_stats(struct index *index, struct index_stats *ret_stats);

/*
 * Walks everything: structure of each node, order of the loaded keys, their number. Nobody writes
 * meanwhile. 0, -EBADMSG with a sentence in *ret_what, -ENOMEM, or what load() returned.
 */
int index_check(struct index *index, const char **ret_what);

#endif
