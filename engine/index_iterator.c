/*
 * Iteration in key order, in both directions.
 *
 * The happy path:
 *   - index_seek() goes down along the bound. Each node on the way becomes a level with the bytes
 *     beyond the bound; a subtree that lies beyond it as a whole becomes `pending`.
 *   - A batch takes the next byte of the deepest level, again and again: a leaf is returned, and so
 *     are the leaves of a small node that has nothing else; any other node becomes a level of its
 *     own. Nodes that come later are fetched ahead. Leaves that a full node begins with are taken
 *     as they lie, without being listed first.
 *
 * Failure modes:
 *   - More levels than are kept: the oldest are dropped, and when the others are used up, the
 *     iterator seeks again from the key that it returned last. That seek keeps only levels that
 *     have something left, so each one gets on.
 *   - A node on the way was copied meanwhile: the seek begins again at the root.
 *
 * Invariants:
 *   - A level's node may have been replaced meanwhile. It is still what it was when it was copied,
 *     so what it leads to is in order, and has every key that was there all the time.
 *   - All keys of a subtree lie on one side of all others: the way to a node never changes. So
 *     nothing is returned twice, whatever is moved meanwhile.
 */
#include "base/assert.h"
#include "engine/leaf.h"
#include "engine/node.h"

#include <errno.h>
#include <string.h>

#define AGAIN 1
#define NODES_AHEAD 16
#define SMALL_ENTRIES 6 /* that the largest node has which is taken without a level */

void index_iterator_init(struct index_iterator *iterator, struct index *index)
{
    iterator->index = index;
    iterator->last = 0;
    iterator->pending = 0;
    iterator->listed = 0;
    iterator->first = 0;
    iterator->count = 0;
    iterator->descending = false;
    iterator->dropped = false;
    iterator->placed = false;
    iterator->bounded = false;
}

/* Fetches nodes, all at once. */
static void fetch_nodes(struct node *const nodes[NODES_AHEAD], const uint8_t lines[NODES_AHEAD],
                        unsigned count)
{
    /* A load that nobody waits for: a prefetch is dropped here (measured: the node was as far
     * away as without), probably where the page's entry is not in the TLB. But the processor has
     * to have it before it can retire what comes behind: so it gets many of them together. */
    for (unsigned k = 0; k < count; k++) {
        (void)atomic_load_explicit(&nodes[k]->header, memory_order_relaxed);
    }
    for (unsigned k = 0; k < count; k++) {
        for (unsigned line = 1; line < lines[k]; line++) {
            __builtin_prefetch((const char *)nodes[k] + (size_t)line * BASE_CACHE_LINE);
        }
    }
}

/* The bytes of a quarter that a seek has left. */
static uint64_t beyond_cut(const struct index_level *level, unsigned quarter)
{
    unsigned cut = level->cut;
    if (!level->is_cut || (level->descending ? quarter < cut / 64 : quarter > cut / 64)) {
        return UINT64_MAX;
    }
    uint64_t below = (UINT64_C(1) << cut % 64) - 1;
    return quarter != cut / 64 ? 0 : level->descending ? below : ~below << 1;
}

/* All four quarters of a node that lists its bytes; and where each byte is, so that nothing is
 * searched for twice. Neither moves while the node is there. */
static void list_places(struct index_iterator *iterator, struct index_level *level)
{
    struct node *node = node_at(iterator->index->arena, level->word);
    unsigned start = node_slots_start(word_kind(level->word));
    /* Acquire pairs with the release that stored the count. */
    uint64_t header = atomic_load_explicit(&node->header, memory_order_acquire);
    uint64_t keys = header >> HEADER_KEYS_SHIFT;
    uint64_t rest[4] = {0}, leaves[4] = {0};
    for (unsigned place = 0; place < header_count(header); place++) {
        if (start != 0 && place % 8 == 0) {
            keys = atomic_load_explicit(&node->body[place / 8], memory_order_relaxed);
        }
        uint64_t word = atomic_load_explicit(&node->body[start + place], memory_order_acquire);
        unsigned byte = (unsigned)keys & 0xff;
        keys >>= 8;
        iterator->places[byte] = (uint8_t)place;
        rest[byte / 64] |= (uint64_t)(word != 0) << byte % 64;
        leaves[byte / 64] |= (word & WORD_LEAF) << byte % 64;
    }
    iterator->listed = level->word;
    if (level->ready != 0) {
        return; /* it was listed before, and some of it was taken: only the places were asked for */
    }
    for (unsigned quarter = 0; quarter < 4; quarter++) {
        level->rest[quarter] = rest[quarter] & beyond_cut(level, quarter);
        level->ahead[quarter] = level->rest[quarter] & ~leaves[quarter];
    }
    level->ready = 0xf;
}

/* One quarter of a node with an index of its bytes. */
static void list_indexed(const struct node *node, unsigned quarter, uint64_t *ret_bits,
                         uint64_t *ret_leaves)
{
    for (unsigned at = 0; at < 8; at++) {
        /* Acquire pairs with the release that stored the byte. */
        uint64_t slots = atomic_load_explicit(&node->body[quarter * 8 + at], memory_order_acquire);
        for (unsigned bit = at * 8; slots != 0; bit++, slots >>= 8) {
            if ((slots & 0xff) != 0) {
                uint64_t word = atomic_load_explicit(&node->body[32 + (slots & 0xff) - 1],
                                                     memory_order_acquire);
                *ret_bits |= (uint64_t)(word != 0) << bit;
                *ret_leaves |= (word & WORD_LEAF) << bit;
            }
        }
    }
}

static void list_full(const struct node *node, unsigned quarter, uint64_t *ret_bits,
                      uint64_t *ret_leaves)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t word = atomic_load_explicit(&node->body[quarter * 64 + bit], memory_order_acquire);
        *ret_bits |= (uint64_t)(word != 0) << bit;
        *ret_leaves |= (word & WORD_LEAF) << bit;
    }
}

/* One quarter of a node that has a place for each byte. */
static void list_quarter(const struct engine_arena *arena, struct index_level *level,
                         unsigned quarter)
{
    const struct node *node = node_at(arena, level->word);
    uint64_t wanted = beyond_cut(level, quarter);
    uint64_t bits = 0, leaves = 0;
    if (wanted != 0 && word_kind(level->word) == NODE_256) {
        list_full(node, quarter, &bits, &leaves);
    } else if (wanted != 0) {
        list_indexed(node, quarter, &bits, &leaves);
    }
    level->rest[quarter] = bits & wanted;
    level->ahead[quarter] = bits & wanted & ~leaves;
    level->ready = (uint8_t)(level->ready | 1u << quarter);
}

static void make_ready(struct index_iterator *iterator, struct index_level *level, unsigned quarter)
{
    if (word_kind(level->word) <= NODE_32) {
        if (level->ready == 0 || iterator->listed != level->word) {
            list_places(iterator, level);
        }
    } else if ((level->ready >> quarter & 1) == 0) {
        list_quarter(iterator->index->arena, level, quarter);
    }
}

/* What hangs under a byte of a level that is ready, or 0. */
static inline uint64_t child_at(const struct index_iterator *iterator, struct node *node,
                                enum node_kind kind, unsigned byte)
{
    if (kind <= NODE_32) {
        unsigned place = node_slots_start(kind) + iterator->places[byte];
        /* Acquire pairs with the release that published the word. */
        return atomic_load_explicit(&node->body[place], memory_order_acquire);
    }
    return node_child(node, kind, byte);
}

/* The bit that comes next in the direction of the level. */
static unsigned next_bit(const struct index_level *level, uint64_t bits)
{
    return level->descending ? 63u - (unsigned)__builtin_clzll(bits)
                             : (unsigned)__builtin_ctzll(bits);
}

/* Fetches nodes that come later, once at most half of those that were fetched are left. */
static void fetch_ahead(const struct index_iterator *iterator, struct index_level *level,
                        unsigned quarter)
{
    /* Of 64 and 128 entries: the bytes; where their slots are is known then. */
    static const uint8_t lines[NODE_KINDS] = {1, 1, 1, 3, 5, 4, 4, 1};
    const struct engine_arena *arena = iterator->index->arena;
    struct node *node = node_at(arena, level->word);
    struct node *nodes[NODES_AHEAD];
    uint8_t node_lines[NODES_AHEAD];
    unsigned count = 0;
    while (level->fetched < NODES_AHEAD && level->ahead[quarter] != 0) {
        unsigned bit = next_bit(level, level->ahead[quarter]);
        level->ahead[quarter] &= ~(UINT64_C(1) << bit);
        uint64_t word = child_at(iterator, node, word_kind(level->word), quarter * 64 + bit);
        if (word != 0 && !word_is_leaf(word)) { /* it may have been removed since */
            nodes[count] = node_at(arena, word);
            node_lines[count++] = lines[word_kind(word)];
            level->fetched++;
        }
    }
    fetch_nodes(nodes, node_lines, count);
}

/* Where addresses go. */
struct batch {
    uint64_t *next, *end;
};

static struct index_level *top(struct index_iterator *iterator)
{
    return &iterator->levels[(iterator->first + iterator->count - 1) % INDEX_LEVELS];
}

/* Makes room for a level, which the caller fills. */
static struct index_level *push(struct index_iterator *iterator)
{
    if (iterator->count == INDEX_LEVELS) {
        iterator->first = (iterator->first + 1) % INDEX_LEVELS;
        iterator->count--;
        iterator->dropped = true;
    }
    iterator->count++;
    return top(iterator);
}

/* A node with all its bytes still to come. */
static void begin_level(const struct index_iterator *iterator, struct index_level *level,
                        uint64_t word)
{
    level->word = word;
    level->ready = 0;
    level->fetched = 0;
    level->is_cut = false;
    level->descending = iterator->descending;
    level->end = iterator->descending && word_has_end(word);
}

static uint64_t end_word(const struct index_iterator *iterator, uint64_t word)
{
    if (!word_has_end(word)) {
        return 0;
    }
    struct node *node = node_at(iterator->index->arena, word);
    return atomic_load_explicit(node_end_slot(node, word_kind(word)), memory_order_acquire);
}

/* Takes the leaves that a quarter of a full node begins with, ascending, without listing it: the
 * cut then says how far it got. */
static void take_run(const struct engine_arena *arena, struct index_level *level, unsigned quarter,
                     struct batch *batch)
{
    const struct node *node = node_at(arena, level->word);
    unsigned byte = quarter * 64, end = byte + 64;
    if (level->is_cut && level->cut >= byte) {
        byte = level->cut + 1u;
    }
    uint64_t *next = batch->next;
    for (; byte < end && next != batch->end; byte++) {
        /* Acquire pairs with the release that published the word. */
        uint64_t word = atomic_load_explicit(&node->body[byte], memory_order_acquire);
        if (!word_is_leaf(word)) {
            break;
        }
        *next++ = leaf_address(arena, word);
    }
    if (next != batch->next) {
        level->is_cut = true;
        level->cut = (uint8_t)(byte - 1);
        batch->next = next;
    }
}

/* Takes all of a small node that leads to leaves alone, which needs no level. False: it is not like
 * that, or there is no room. */
static bool take_small(const struct engine_arena *arena, uint64_t node_word, bool descending,
                       struct batch *batch)
{
    if (word_kind(node_word) > NODE_6 || word_has_end(node_word) ||
        batch->end - batch->next < SMALL_ENTRIES) {
        return false;
    }
    const struct node *node = node_at(arena, node_word);
    /* Acquire pairs with the release that stored the count. */
    uint64_t header = atomic_load_explicit(&node->header, memory_order_acquire);
    uint8_t bytes[SMALL_ENTRIES];
    unsigned count = 0;
    for (unsigned place = 0; place < header_count(header); place++) {
        uint64_t word = atomic_load_explicit(&node->body[place], memory_order_acquire);
        uint8_t byte = (uint8_t)(header >> (HEADER_KEYS_SHIFT + place * 8));
        if (!word_is_leaf(word)) {
            return false; /* or it was removed, which is rare */
        }
        unsigned at = count++;
        for (; at > 0 && (bytes[at - 1] > byte) != descending; at--) {
            bytes[at] = bytes[at - 1];
            batch->next[at] = batch->next[at - 1];
        }
        bytes[at] = byte;
        batch->next[at] = leaf_address(arena, word);
    }
    batch->next += count;
    return true;
}

/* Takes what is in one quarter of the deepest level, up to a node that becomes pending. */
static void take_quarter(struct index_iterator *iterator, struct index_level *level,
                         unsigned quarter, struct batch *batch)
{
    const struct engine_arena *arena = iterator->index->arena;
    struct node *node = node_at(arena, level->word);
    enum node_kind kind = word_kind(level->word);
    uint64_t bits = level->rest[quarter];
    while (bits != 0 && batch->next != batch->end && iterator->pending == 0) {
        if (level->ahead[quarter] != 0 && level->fetched <= NODES_AHEAD / 2) {
            fetch_ahead(iterator, level, quarter);
        }
        unsigned bit = next_bit(level, bits);
        bits &= ~(UINT64_C(1) << bit);
        uint64_t word = child_at(iterator, node, kind, quarter * 64 + bit);
        if (__builtin_expect(word_is_leaf(word), 1)) {
            *batch->next++ = leaf_address(arena, word);
            continue;
        }
        level->fetched = (uint8_t)(level->fetched - (level->fetched != 0));
        if (word != 0 && !take_small(arena, word, level->descending, batch)) {
            iterator->pending = word;
        }
    }
    level->rest[quarter] = bits;
}

/* Takes what is in the deepest level, up to a node that becomes pending; a level that is used up is
 * gone then. */
static void take_level(struct index_iterator *iterator, struct batch *batch)
{
    struct index_level *level = top(iterator);
    for (unsigned step = 0; step < 4; step++) {
        unsigned quarter = level->descending ? 3 - step : step;
        bool ready = (level->ready >> quarter & 1) != 0;
        if (ready && level->rest[quarter] == 0) {
            continue;
        }
        if (!ready && !level->descending && word_kind(level->word) == NODE_256) {
            take_run(iterator->index->arena, level, quarter, batch);
            if (batch->next == batch->end) {
                return;
            }
        }
        make_ready(iterator, level, quarter);
        take_quarter(iterator, level, quarter, batch);
        if (batch->next == batch->end || iterator->pending != 0) {
            return;
        }
    }
    iterator->pending = level->end ? end_word(iterator, level->word) : 0;
    iterator->count--;
}

/* Fills a batch, or as much of it as the levels that are kept have. */
static void take(struct index_iterator *iterator, struct batch *batch)
{
    while (batch->next != batch->end) {
        uint64_t word = iterator->pending;
        iterator->pending = 0;
        if (word != 0 && word_is_leaf(word)) {
            *batch->next++ = leaf_address(iterator->index->arena, word);
        } else if (word != 0) {
            begin_level(iterator, push(iterator), word);
            /* Ascending, the key that ends here comes first. */
            iterator->pending = iterator->descending ? 0 : end_word(iterator, word);
        } else if (iterator->count != 0) {
            take_level(iterator, batch);
        } else {
            break;
        }
    }
}

/* Whether anything is left in a level, looked up now. */
static bool has_rest(struct index_iterator *iterator, struct index_level *level)
{
    uint64_t rest = 0;
    for (unsigned quarter = 0; quarter < 4; quarter++) {
        make_ready(iterator, level, quarter);
        rest |= level->rest[quarter];
    }
    return rest != 0 || (level->end && end_word(iterator, level->word) != 0);
}

/* What a walk along a bound is told. */
struct seek {
    struct index_key bound;
    bool equal; /* the bound itself is wanted */
    bool exact; /* keep only levels that have something left */
};

/* The bound ends at this node: its end slot is the bound, all else is greater. */
static void end_at_node(struct index_iterator *iterator, const struct seek *seek, uint64_t word)
{
    if (!iterator->descending) {
        if (seek->equal) {
            iterator->pending = word;
        } else {
            begin_level(iterator, push(iterator), word);
        }
    } else if (seek->equal) {
        iterator->pending = end_word(iterator, word);
    }
}

static int end_at_leaf(struct index_iterator *iterator, const struct seek *seek, uint64_t word)
{
    struct index_source *source = &iterator->index->source;
    struct index_key key;
    int rc = source->load(source->context, leaf_address(iterator->index->arena, word), &key);
    if (rc < 0) {
        return rc;
    }
    uint32_t size = key.size < seek->bound.size ? key.size : seek->bound.size;
    int order = memcmp(key.data, seek->bound.data, size);
    if (order == 0) {
        order = (key.size > seek->bound.size) - (key.size < seek->bound.size);
    }
    bool wanted = iterator->descending ? order < 0 : order > 0;
    if (wanted || (order == 0 && seek->equal)) {
        iterator->pending = word;
    }
    return 0;
}

/* One walk from the root along the bound. 0, AGAIN or an error. */
static int walk(struct index_iterator *iterator, const struct seek *seek)
{
    struct index *index = iterator->index;
    uint64_t word = atomic_load_explicit(&index->root, memory_order_acquire);
    uint32_t from = 0;
    while (word != 0 && !word_is_leaf(word)) {
        uint32_t depth = word_depth(word);
        struct path_match match = {.common = depth};
        int rc = depth != from ? node_compare_path(index, word, seek->bound, from, &match) : 0;
        if (rc != 0) {
            return rc;
        }
        if (match.common < depth) {
            bool greater =
                match.common == seek->bound.size || match.byte > seek->bound.data[match.common];
            iterator->pending = greater != iterator->descending ? word : 0;
            return 0;
        }
        if (depth == seek->bound.size) {
            end_at_node(iterator, seek, word);
            return 0;
        }
        unsigned byte = seek->bound.data[depth];
        struct index_level level;
        begin_level(iterator, &level, word);
        level.is_cut = true;
        level.cut = (uint8_t)byte;
        if (!seek->exact || has_rest(iterator, &level)) {
            *push(iterator) = level;
        }
        word = node_child(node_at(index->arena, word), word_kind(word), byte);
        from = depth + 1;
    }
    return word != 0 ? end_at_leaf(iterator, seek, word) : 0;
}

static int walk_again(struct index_iterator *iterator, const struct seek *seek)
{
    int rc;
    do {
        iterator->count = 0;
        iterator->pending = 0;
        iterator->dropped = false;
        rc = walk(iterator, seek);
    } while (rc == AGAIN);
    return rc;
}

static void begin_at_root(struct index_iterator *iterator)
{
    iterator->count = 0;
    iterator->dropped = false;
    iterator->pending = atomic_load_explicit(&iterator->index->root, memory_order_acquire);
}

/* Finds the way again behind the key that was returned last. */
static int resume(struct index_iterator *iterator)
{
    if (iterator->last == 0) { /* all that it has come to was removed meanwhile */
        begin_at_root(iterator);
        iterator->placed = !iterator->bounded;
        return iterator->bounded ? -EAGAIN : 0;
    }
    struct index_source *source = &iterator->index->source;
    struct seek seek = {.exact = true};
    int rc = source->load(source->context, leaf_address(iterator->index->arena, iterator->last),
                          &seek.bound);
    rc = rc == 0 ? walk_again(iterator, &seek) : rc;
    iterator->placed = rc == 0;
    return rc;
}

int index_seek(struct index_iterator *iterator, struct index_key bound, enum index_seek mode)
{
    iterator->placed = false;
    iterator->last = 0;
    iterator->descending = mode == INDEX_LE || mode == INDEX_LT || mode == INDEX_LAST;
    iterator->bounded = mode != INDEX_FIRST && mode != INDEX_LAST;
    if (!iterator->bounded) {
        begin_at_root(iterator);
        iterator->placed = true;
        return 0;
    }
    struct seek seek = {.bound = bound, .equal = mode == INDEX_GE || mode == INDEX_LE};
    int rc = walk_again(iterator, &seek);
    while (rc == 0 && iterator->dropped) {
        /* To seek again takes a key that was returned: so the first leaf is found here. */
        seek.exact = true;
        rc = walk_again(iterator, &seek);
        uint64_t address;
        struct batch first = {&address, &address + 1};
        if (rc == 0) {
            take(iterator, &first);
        }
        if (first.next == first.end) {
            WEIR_ASSERT(iterator->pending == 0);
            iterator->pending = word_of_address(address);
            break;
        }
    }
    iterator->placed = rc == 0;
    return rc;
}

static int turn(struct index_iterator *iterator, bool descending)
{
    if (!iterator->placed) {
        return -EINVAL;
    }
    if (iterator->descending == descending) {
        return 0;
    }
    if (iterator->last == 0) {
        return -EINVAL;
    }
    iterator->descending = descending;
    return resume(iterator);
}

/* Fills the rest of a batch. How many are in it then, or what load() returned. */
static int fill(struct index_iterator *iterator, uint64_t *ret_addresses, int max)
{
    struct batch batch = {ret_addresses, ret_addresses + max};
    for (;;) {
        take(iterator, &batch);
        if (batch.next != ret_addresses) {
            iterator->last = word_of_address(batch.next[-1]);
        }
        if (batch.next == batch.end || !iterator->dropped) {
            return (int)(batch.next - ret_addresses);
        }
        int rc = resume(iterator);
        if (rc < 0) {
            return rc;
        }
    }
}

static int next_batch(struct index_iterator *iterator, bool descending, uint64_t *ret_addresses,
                      int max)
{
    const struct index_source *source = &iterator->index->source;
    int rc = turn(iterator, descending);
    int count = rc == 0 ? fill(iterator, ret_addresses, max) : rc;
    for (int place = 0; place < count && source->prefetch != NULL; place++) {
        source->prefetch(source->context, ret_addresses[place]);
    }
    return count;
}

int index_next_batch(struct index_iterator *iterator, uint64_t *ret_addresses, int max)
{
    return next_batch(iterator, false, ret_addresses, max);
}

int index_previous_batch(struct index_iterator *iterator, uint64_t *ret_addresses, int max)
{
    return next_batch(iterator, true, ret_addresses, max);
}
