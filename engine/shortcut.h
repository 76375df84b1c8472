/*
 * Shortcuts: from the hash of a key to where its newest record lies, past the nodes of the index.
 *
 * An adaptive hash index, as InnoDB has one above its B-trees: it is made of what gets ask for, in
 * memory alone, and whatever is not in it is found in the index. A get that takes one waits for two
 * misses, a line of the map and the record, however many nodes the way down has, and guesses no
 * branch by what it has loaded on the way.
 *
 *     line    4 bytes   lock
 *             12 bytes  tags, each a byte of a key's hash
 *             48 bytes  spots, each the lower 32 bits of an address / 8; 0: free
 *
 * Which segment a spot lies in is for whoever made the index to say, through index_source.claim:
 * of all segments whose addresses end in the same 32 bits, one has shortcuts.
 *
 * Invariants:
 *   - Whoever changes what the index has for a key holds the key's line meanwhile, in the map that
 *     is used and in the one that is coming. So a line that is not locked leads, for each key that
 *     it leads to, where the index leads.
 *   - Whoever puts a shortcut into a line holds it, and looks into the index once more. A
 *     get only tries to hold it; who changes a key waits, for as long as a look or a change takes.
 *   - A larger map is empty, and comes into use when no section is open that may not know it.
 *   - A spot is believed only when the record there has the very key.
 */
#ifndef ENGINE_SHORTCUT_H
#define ENGINE_SHORTCUT_H

#include "base/sync.h"
#include "engine/index.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SHORTCUT_SPOTS 12u
#define SHORTCUT_SPOTS_MEANT 8u  /* of a line, when a map is made */
#define SHORTCUT_SPOTS_MOST 10u  /* on average: then a larger map is made */
#define SHORTCUT_KEYS_MIN 65536u /* a smaller index is in the cache */

#define SHORTCUT_KEY_BYTES_MAX 128u /* longer keys have none */

/* While there is no map, gets of one key in so many are counted: by a hash of its leaf. */
#define SHORTCUT_SAMPLE 64u

struct shortcut_line {
    alignas(BASE_CACHE_LINE) union {
        struct {
            struct base_lock lock;
            _Atomic uint8_t tags[SHORTCUT_SPOTS];
        };
        _Atomic uint64_t head[2];
    };
    _Atomic uint32_t spots[SHORTCUT_SPOTS];
};

_Static_assert(sizeof(struct shortcut_line) == BASE_CACHE_LINE, "one miss");

struct shortcut_map {
    struct epoch_retired retired;
    struct index *index;
    struct shortcut_line *lines;
    uint64_t count; /* of lines */
};

/* Of all indexes of an engine. */
struct engine_shortcuts {
    struct epoch_bag arriving, leaving; /* of struct shortcut_map */
    bool none;                          /* WEIR_ENGINE_NO_SHORTCUTS */
    _Atomic bool eager;                 /* for small indexes too, and at once: shortcut_begin() */
    _Atomic uint64_t bytes;             /* of all maps */
};

void shortcuts_init(struct engine_shortcuts *shortcuts, struct engine_epochs *epochs);

/* Frees what waits. No section is open. Then the indexes may be dropped. */
void shortcuts_destroy(struct engine_shortcuts *shortcuts);

/* Frees the map of an index that nobody uses any more; after shortcuts_destroy(). */
void shortcut_drop(struct index *index);

static inline bool shortcut_serves(size_t key_size)
{
    return key_size - 1 < SHORTCUT_KEY_BYTES_MAX;
}

static inline uint32_t shortcut_spot(uint64_t address)
{
    return (uint32_t)(address / INDEX_ADDRESS_ALIGN);
}

/* All spots that a key may lie at, as shortcut_find(), which finds the first one: how many. In a
 * section, which began before the map was loaded. */
unsigned shortcut_find_all(const struct shortcut_map *map, uint64_t hash,
                           uint32_t ret_spots[SHORTCUT_SPOTS]);

/* A get that has found a key at a word in the index: puts a shortcut there if it can at once. In a
 * section. */
void shortcut_learn(struct index *index, struct index_key key, uint64_t word);

static inline bool shortcut_is_sample(uint64_t word)
{
    return word * UINT64_C(0x9e3779b97f4a7c15) >> 32 < (UINT64_C(1) << 32) / SHORTCUT_SAMPLE;
}

static inline bool shortcut_may_learn(const struct index *index, uint64_t word)
{
    return atomic_load_explicit(&index->shortcut_map, memory_order_relaxed) != NULL ||
           shortcut_is_sample(word);
}

/* For tests: a map of one line, which a get that finds it full makes grow. */
void shortcut_begin(struct index *index);

/* Lines that are held while the index is changed. */
struct shortcut_hold {
    struct shortcut_line *lines[2];
    unsigned tag;
};

/* Before anything is published in the index. In a section. */
void shortcut_hold(struct index *index, struct index_key key, struct shortcut_hold *ret_hold);

/* Afterwards: where the key was, and where it is now; 0: nowhere. The same twice: nothing has
 * changed. */
void shortcut_release(struct index *index, struct shortcut_hold *hold, uint64_t from, uint64_t to);

#endif
