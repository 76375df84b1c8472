/*
 * Nodes under their lock: made, filled, read out.
 *
 * The happy path:
 *   - node_make() builds one of the right kind, which its caller publishes with one word.
 *   - node_add() appends an entry where there is room; the header, stored last, publishes it.
 *   - Where there is none, the caller collects the entries, makes a larger node and retires this
 *     one.
 *
 * Failure modes:
 *   - No memory: node_make() returns 0 and nothing has changed.
 *   - A node that a reader came to was copied meanwhile: the tail of a retired node holds the link
 *     of its bag, so who reads the tail looks at the header afterwards.
 *
 * Invariants:
 *   - A node that can be reached has at least two live entries.
 *   - Only who holds the lock bit stores to header, keys and slots.
 *   - Fresh nodes are written with relaxed stores; the release that publishes their word orders
 *     them.
 */
#include "engine/leaf.h"

#include "base/assert.h"
#include "base/le.h"
#include "base/sync.h"

#include <errno.h>
#include <string.h>

#define SPINS_BEFORE_YIELD 64

bool node_lock(_Atomic uint64_t *header, uint64_t *ret_header)
{
    for (unsigned spins = 0;; spins++) {
        uint64_t value = atomic_load_explicit(header, memory_order_relaxed);
        if ((value & HEADER_OBSOLETE) != 0) {
            return false;
        }
        /* Acquire pairs with the release in node_unlock(). */
        if ((value & HEADER_LOCKED) == 0 &&
            atomic_compare_exchange_weak_explicit(header, &value, value | HEADER_LOCKED,
                                                  memory_order_acquire, memory_order_relaxed)) {
            *ret_header = value;
            return true;
        }
        if (spins % SPINS_BEFORE_YIELD == SPINS_BEFORE_YIELD - 1) {
            base_yield(); /* the holder may need this CPU */
        } else {
            base_cpu_relax();
        }
    }
}

uint64_t node_tail_of(const uint8_t *path, uint32_t depth)
{
    uint64_t tail = 0;
    for (uint32_t index = depth > 8 ? depth - 8 : 0; index < depth; index++) {
        tail = tail << 8 | path[index];
    }
    return tail;
}

static enum node_kind kind_for(unsigned entries)
{
    enum node_kind kind = NODE_2;
    while (node_capacity(kind) < entries) {
        kind++;
    }
    return kind;
}

static bool is_small(enum node_kind kind)
{
    return kind <= NODE_6;
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* Sets one byte in an array of them that is kept in words. */
static void set_byte(_Atomic uint64_t *words, unsigned index, unsigned byte, memory_order order)
{
    unsigned shift = index % 8 * 8;
    uint64_t value = get(&words[index / 8]);
    value = (value & ~(UINT64_C(0xff) << shift)) | (uint64_t)byte << shift;
    atomic_store_explicit(&words[index / 8], value, order);
}

static unsigned get_byte(const _Atomic uint64_t *words, unsigned index)
{
    return (unsigned)(get(&words[index / 8]) >> index % 8 * 8) & 0xff;
}

/* The byte of the entry in slot number `place` of a list. */
static unsigned list_byte(const struct node *node, enum node_kind kind, uint64_t header,
                          unsigned place)
{
    return is_small(kind) ? (unsigned)(header >> (HEADER_KEYS_SHIFT + place * 8)) & 0xff
                          : get_byte(node->body, place);
}

static void fill_list(struct node *node, enum node_kind kind, const struct node_entry *entries,
                      unsigned count, uint64_t *header)
{
    _Atomic uint64_t *slots = &node->body[node_slots_start(kind)];
    for (unsigned index = 0; index < node_slots_start(kind); index++) {
        set(&node->body[index], 0);
    }
    unsigned place = 0;
    for (unsigned index = 0; index < count; index++) {
        if (entries[index].byte == NODE_END) {
            continue;
        }
        set(&slots[place], entries[index].word);
        if (is_small(kind)) {
            *header |= (uint64_t)entries[index].byte << (HEADER_KEYS_SHIFT + place * 8);
        } else {
            set_byte(node->body, place, entries[index].byte, memory_order_relaxed);
        }
        place++;
    }
    *header |= (uint64_t)place << HEADER_COUNT_SHIFT;
}

static void fill_array(struct node *node, enum node_kind kind, const struct node_entry *entries,
                       unsigned count, uint64_t *header)
{
    unsigned place = 0;
    unsigned words = kind == NODE_256 ? 256 : 32;
    for (unsigned index = 0; index < words; index++) {
        set(&node->body[index], 0);
    }
    for (unsigned index = 0; index < count; index++) {
        unsigned byte = entries[index].byte;
        if (byte == NODE_END) {
            continue;
        }
        if (kind == NODE_256) {
            set(&node->body[byte], entries[index].word);
        } else {
            set(&node->body[32 + place], entries[index].word);
            set_byte(node->body, byte, ++place, memory_order_relaxed);
        }
    }
    *header |= (uint64_t)place << HEADER_COUNT_SHIFT;
}

/* Of a private region the largest class does for all others. */
static uint64_t allocate(struct engine_arena *arena, struct arena_region *region,
                         enum node_kind *kind, bool *has_end)
{
    unsigned size_class = (unsigned)*kind + (*has_end ? NODE_KINDS : 0);
    if (region == NULL) {
        return arena_alloc(arena, size_class);
    }
    uint64_t offset = arena_alloc_private(arena, region, size_class);
    if (offset == 0) {
        offset = arena_alloc_private(arena, region, NODE_CLASS_LARGEST);
        *kind = NODE_256;
        *has_end = true;
    }
    return offset;
}

uint64_t node_make(struct engine_arena *arena, struct arena_region *region,
                   const struct node_entry *entries, unsigned count, uint32_t depth, uint64_t tail)
{
    uint64_t end = 0;
    for (unsigned index = 0; index < count; index++) {
        end = entries[index].byte == NODE_END ? entries[index].word : end;
    }
    enum node_kind kind = kind_for(count - (end != 0));
    bool has_end = end != 0;
    uint64_t offset = allocate(arena, region, &kind, &has_end);
    if (offset == 0) {
        return 0;
    }
    struct node *node = (struct node *)arena_at(arena, offset);
    uint64_t header = is_small(kind) ? 0 : (uint64_t)count << HEADER_LIVE_SHIFT;
    if (kind <= NODE_32) {
        fill_list(node, kind, entries, count, &header);
    } else {
        fill_array(node, kind, entries, count, &header);
    }
    if (has_end) {
        set(node_end_slot(node, kind), end);
    }
    set(&node->tail, tail);
    set(&node->header, header);
    return word_of_node(offset, kind, has_end, depth);
}

static unsigned collect_list(struct node *node, enum node_kind kind, struct node_entry *entries)
{
    uint64_t header = get(&node->header);
    _Atomic uint64_t *slots = &node->body[node_slots_start(kind)];
    unsigned count = 0;
    for (unsigned place = 0; place < header_count(header); place++) {
        uint64_t word = get(&slots[place]);
        if (word != 0) {
            entries[count++] =
                (struct node_entry){.word = word, .byte = list_byte(node, kind, header, place)};
        }
    }
    return count;
}

unsigned node_collect(struct node *node, uint64_t word,
                      struct node_entry ret_entries[NODE_ENTRIES_MAX])
{
    enum node_kind kind = word_kind(word);
    unsigned count = 0;
    if (kind <= NODE_32) {
        count = collect_list(node, kind, ret_entries);
    } else {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint64_t child = node_child(node, kind, byte);
            if (child != 0) {
                ret_entries[count++] = (struct node_entry){.word = child, .byte = byte};
            }
        }
    }
    uint64_t end = word_has_end(word) ? get(node_end_slot(node, kind)) : 0;
    if (end != 0) {
        ret_entries[count++] = (struct node_entry){.word = end, .byte = NODE_END};
    }
    return count;
}

unsigned node_live(struct node *node, uint64_t word, uint64_t header)
{
    enum node_kind kind = word_kind(word);
    if (!is_small(kind)) {
        return (unsigned)(header >> HEADER_LIVE_SHIFT) & 0xffff;
    }
    unsigned live = word_has_end(word) && get(node_end_slot(node, kind)) != 0;
    for (unsigned place = 0; place < header_count(header); place++) {
        live += get(&node->body[place]) != 0;
    }
    return live;
}

/* Puts an entry into the next free slot and makes its byte known. */
static bool append(struct node *node, enum node_kind kind, struct node_entry entry,
                   uint64_t *header)
{
    unsigned place = header_count(*header);
    if (place == node_capacity(kind)) {
        return false;
    }
    /* Release pairs with the acquire in node_child(): the word leads to a fresh node, perhaps. */
    atomic_store_explicit(&node->body[node_slots_start(kind) + place], entry.word,
                          memory_order_release);
    if (is_small(kind)) {
        *header |= (uint64_t)entry.byte << (HEADER_KEYS_SHIFT + place * 8);
    } else if (kind <= NODE_32) {
        set_byte(node->body, place, entry.byte, memory_order_relaxed);
    } else {
        set_byte(node->body, entry.byte, place + 1, memory_order_release);
    }
    *header += UINT64_C(1) << HEADER_COUNT_SHIFT;
    return true;
}

bool node_add(struct node *node, uint64_t word, struct node_entry entry, uint64_t *header)
{
    enum node_kind kind = word_kind(word);
    _Atomic uint64_t *slot = node_slot_any(node, word, entry.byte);
    if (slot != NULL) {
        WEIR_ASSERT(get(slot) == 0);
        atomic_store_explicit(slot, entry.word, memory_order_release);
    } else if (entry.byte == NODE_END || !append(node, kind, entry, header)) {
        return false;
    }
    *header += is_small(kind) ? 0 : UINT64_C(1) << HEADER_LIVE_SHIFT;
    return true;
}

void node_clear(_Atomic uint64_t *slot, enum node_kind kind, uint64_t *header)
{
    atomic_store_explicit(slot, 0, memory_order_release);
    *header -= is_small(kind) ? 0 : UINT64_C(1) << HEADER_LIVE_SHIFT;
}

static uint64_t some_child(struct node *node, enum node_kind kind)
{
    if (kind <= NODE_32) {
        uint64_t header = atomic_load_explicit(&node->header, memory_order_acquire);
        for (unsigned place = 0; place < header_count(header); place++) {
            uint64_t word = atomic_load_explicit(&node->body[node_slots_start(kind) + place],
                                                 memory_order_acquire);
            if (word != 0) {
                return word;
            }
        }
        return 0;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t word = node_child(node, kind, byte);
        if (word != 0) {
            return word;
        }
    }
    return 0;
}

uint64_t node_some_leaf(const struct engine_arena *arena, uint64_t word)
{
    while (word != 0 && !word_is_leaf(word)) {
        struct node *node = node_at(arena, word);
        uint64_t end =
            word_has_end(word)
                ? atomic_load_explicit(node_end_slot(node, word_kind(word)), memory_order_acquire)
                : 0;
        word = end != 0 ? end : some_child(node, word_kind(word));
    }
    return word;
}

uint32_t key_common(struct index_key left, struct index_key right, uint32_t from)
{
    uint32_t limit = left.size < right.size ? left.size : right.size;
    while (from + 8 <= limit) {
        uint64_t a = le64_load((const struct le64 *)(const void *)(left.data + from));
        uint64_t b = le64_load((const struct le64 *)(const void *)(right.data + from));
        if (a != b) {
            return from + (uint32_t)__builtin_ctzll(a ^ b) / 8;
        }
        from += 8;
    }
    while (from < limit && left.data[from] == right.data[from]) {
        from++;
    }
    return from;
}

/* Compares with the tail: 8 bytes at most. */
static int compare_tail(struct node *node, uint32_t depth, struct index_key key, uint32_t from,
                        struct path_match *match)
{
    uint64_t tail = atomic_load_explicit(&node->tail, memory_order_acquire);
    /* A retired node has its link there. Acquire above: the mark was set before the link. */
    if ((atomic_load_explicit(&node->header, memory_order_relaxed) & HEADER_OBSOLETE) != 0) {
        return 1;
    }
    uint32_t common = from;
    for (; common < depth; common++) {
        match->byte = (uint8_t)(tail >> (depth - 1 - common) * 8);
        if (common == key.size || key.data[common] != match->byte) {
            break;
        }
    }
    match->common = common;
    return 0;
}

int node_compare_path(const struct index *index, uint64_t word, struct index_key key, uint32_t from,
                      struct path_match *match)
{
    uint32_t depth = word_depth(word);
    match->skipped = false;
    if (depth - from <= 8) {
        return compare_tail(node_at(index->arena, word), depth, key, from, match);
    }
    if (match->may_skip && key.size >= depth) {
        match->skipped = true;
        match->common = depth;
        return 0;
    }
    uint64_t leaf = node_some_leaf(index->arena, word);
    if (leaf == 0) {
        return 1;
    }
    struct index_key below;
    int rc = index->source.load(index->source.context, leaf_address(index->arena, leaf), &below);
    if (rc < 0) {
        return rc;
    }
    if (below.size < depth) {
        return -EBADMSG;
    }
    uint32_t common = key_common(key, below, from);
    match->common = common < depth ? common : depth;
    match->byte = common < depth ? below.data[common] : 0;
    return 0;
}
