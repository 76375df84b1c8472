/*
 * Places: from an address to the record that lies there. Segments that somebody has looked into
 * stay pinned until the log has dropped them and no section is open that may come by.
 */
#ifndef ENGINE_PLACE_H
#define ENGINE_PLACE_H

#include "engine/epoch.h"
#include "engine/index.h"
#include "engine/record.h"
#include "wal/address.h"

struct weir_engine;
struct engine_table;

/* Of all addresses this makes ordinal 0, which no segment has: its slot stays empty. */
#define PLACE_SHIFT_UNKNOWN 63u
#define PLACE_ORDINAL_BITS 23u
#define PLACE_SLOTS                                                                                \
    (UINT64_C(1) << PLACE_ORDINAL_BITS) /* of ordinary segments, and of compacted                  \
                                         */

/* Bits of an ordinal that are 0, as no log is that long: leaves use them for something else. */
#define PLACE_SPARE (UINT32_C(0xff) << PLACE_ORDINAL_BITS)

_Static_assert(PLACE_SPARE + PLACE_SLOTS == WAL_ADDRESS_COMPACTED, "they are eight");

/* As many as there can be: of the smallest segments. */
#define PLACE_NEAR ((UINT64_C(1) << 32) / (WEIR_SEGMENT_BYTES_MIN / INDEX_ADDRESS_ALIGN))

struct place_slot {
    _Atomic(struct wal_segment *) segment; /* NULL: nobody has looked into it yet, or it is gone */
    _Atomic(const uint8_t *) base;         /* its memory; set once, as its address is given once */
};

/* Address space, of which memory is what was written: a look-up finds its slot in one step. */
struct place_table {
    struct place_slot slots[2 * PLACE_SLOTS]; /* place_index() */
    bool leaving[2 * PLACE_SLOTS];            /* under places.lock */
    /* Copies, of the segments that shortcuts may lead to, by place_near_index(). */
    struct place_slot near[PLACE_NEAR];
};

/* The slots of a kind that were ever filled: [first, end). */
struct place_used {
    uint64_t first, end;
};

/* A segment that is let go of. */
struct place_leaving {
    struct epoch_retired retired;
    struct wal_segment *segment;
    uint64_t index;
};

struct engine_places {
    struct base_lock lock; /* pinning */
    struct epoch_bag bag;  /* of struct place_leaving, */
    struct epoch_bag gone; /* and of those whose slot is empty */
    struct weir_log *log;
    struct place_table *table;
    struct place_used used[2];      /* under the lock */
    _Atomic uint32_t segment_shift; /* bytes of a segment, as a power of two */
    _Atomic uint32_t near_shift;    /* the same of spots */
    _Atomic uint64_t within;        /* the bits of an address that are its offset in the segment */
};

/* 0; -ENOMEM: no address space. */
int place_init(struct weir_engine *engine);

/* Learns how large segments are, if the log knows it, and with it what leaves have room for. Before
 * the index takes over leaves, and, for a reader whose log comes to be, before it gets some. */
void place_learn(struct weir_engine *engine);

/* Relaxed: until it is known no segment is pinned, so that whoever has an address comes to
 * place_pin(), which learns it. */
static inline uint32_t place_shift(const struct engine_places *places)
{
    return atomic_load_explicit(&places->segment_shift, memory_order_relaxed);
}

/* Of an address whose segment is pinned: the offset in it. */
static inline uint64_t place_offset(const struct engine_places *places, uint64_t address)
{
    return address & atomic_load_explicit(&places->within, memory_order_relaxed);
}

/* Which slot an ordinal has; 2 * PLACE_SLOTS: no log is that long. */
static inline uint64_t place_index(uint64_t ordinal)
{
    if (__builtin_expect(ordinal < PLACE_SLOTS, 1)) {
        return ordinal;
    }
    ordinal -= WAL_ADDRESS_COMPACTED;
    return ordinal < PLACE_SLOTS ? ordinal + PLACE_SLOTS : 2 * PLACE_SLOTS;
}

/* The slot of an address; NULL when no log has such a one. */
static inline struct place_slot *place_slot_of(struct engine_places *places, uint64_t address)
{
    uint64_t index = place_index(address >> place_shift(places));
    return __builtin_expect(index < 2 * PLACE_SLOTS, 1) ? &places->table->slots[index] : NULL;
}

/* The segment of a shortcut's spot, see engine/shortcut.h, and the offset in it. Of a spot that was
 * found: the segment's size is known, and it is the one that shortcuts may lead to. */
static inline struct place_slot *place_near(struct engine_places *places, uint32_t spot)
{
    return &places->table
                ->near[spot >> atomic_load_explicit(&places->near_shift, memory_order_relaxed)];
}

static inline uint64_t place_near_offset(const struct engine_places *places, uint32_t spot)
{
    return place_offset(places, (uint64_t)spot * INDEX_ADDRESS_ALIGN);
}

/* For struct index_source: makes the segment of an address the one of its place, if there is no
 * other. The context is the engine's places. */
bool place_claim(void *context, uint64_t address);

/* As place_segment(), for a segment that nobody has looked into yet: pins it for all. */
int place_pin(struct engine_places *places, uint64_t address, struct wal_segment **ret_segment);

/* The segment of an address, whose slot it is, kept readable: 0; errors of mapping it. In an epoch
 * section, or before anybody else has the engine. */
static inline int place_segment_in(struct engine_places *places, struct place_slot *slot,
                                   uint64_t address, struct wal_segment **ret_segment)
{
    /* Acquire pairs with the release in place_pin(). */
    struct wal_segment *segment =
        slot != NULL ? atomic_load_explicit(&slot->segment, memory_order_acquire) : NULL;
    if (__builtin_expect(segment == NULL, 0)) {
        return place_pin(places, address, ret_segment);
    }
    *ret_segment = segment;
    return 0;
}

static inline int place_segment(struct engine_places *places, uint64_t address,
                                struct wal_segment **ret_segment)
{
    return place_segment_in(places, place_slot_of(places, address), address, ret_segment);
}

/* Reads the record at an address that the index or a link gave. */
static inline int place_read(struct engine_places *places, uint64_t address,
                             struct weir_record *ret_record)
{
    struct wal_segment *segment;
    int rc = place_segment(places, address, &segment);
    return rc == 0 ? wal_address_read(places->log, segment, address, ret_record) : rc;
}

int place_version(struct engine_places *places, uint64_t address,
                  struct engine_version *ret_version);

/* The newest version of a key: 1, a delete too; 0 (it never was, or was compacted away); errors of
 * reading. */
int place_find(struct engine_places *places, struct engine_table *table, struct weir_bytes key,
               struct engine_version *ret_version);

/* The same, and where an index_put_at() of the key begins, in the same section. */
int place_find_to_put(struct engine_places *places, struct engine_table *table,
                      struct weir_bytes key, struct engine_version *ret_version,
                      struct index_descent *ret_descent);

/* The same, once the index has given the only address that the key may have. */
int place_match(struct engine_places *places, uint64_t address, struct weir_bytes key,
                struct engine_version *ret_version);

/* A record of 100 bytes, wherever it begins. Two are enough for its head and its key, and cost less
 * (36 ns a row against 47, keys in random order), but whoever reads the values then waits for the
 * rest of them (82 ns against 65). */
#define PLACE_PREFETCH_LINES 3u

/* Asks for the lines of a record that will be read soon, at an offset of a slot's segment: all of
 * them together, not one after the other. */
static inline void place_prefetch_at(const struct place_slot *slot, uint64_t offset)
{
    const uint8_t *base =
        slot != NULL ? atomic_load_explicit(&slot->base, memory_order_relaxed) : NULL;
    if (base != NULL) {
        for (unsigned line = 0; line < PLACE_PREFETCH_LINES; line++) {
            __builtin_prefetch(base + offset + line * BASE_CACHE_LINE);
        }
    }
}

static inline void place_prefetch(struct engine_places *places, uint64_t address)
{
    place_prefetch_at(place_slot_of(places, address), place_offset(places, address));
}

/* Keys that will be looked up soon, at most INDEX_LANES of them, each at its table's index: what
 * they lead to is on its way afterwards. In an epoch section. A hint, and nothing but time. */
void place_prefetch_keys(struct engine_places *places, struct index_lane *lanes, unsigned count);

/* Lets go of segments that the log has dropped, each when no section that could look into it is
 * open any more. No key points into one. Never waits: call it again. */
void place_let_go(struct weir_engine *engine);

/* Frees what no section can see any more. */
void place_reclaim(struct weir_engine *engine);
void place_drop_all(struct weir_engine *engine);

/* The same at the end; of places that were never initialised, too. */
void place_destroy(struct weir_engine *engine);

/* For struct index_source; the context is the engine's places. */
int place_load_key(void *context, uint64_t address, struct index_key *ret_key);

#endif
