/*
 * Read: sections, get of one key and of many, history.
 *
 * Happy path of a get: the index gives the address of the key's newest record; the record is read
 * where it lies and says whether it is a delete; in a view as of an LSN the links lead back to the
 * version that counts. Of many keys a group goes down the index while the records of the group
 * before are on their way.
 *
 * Failure modes: no such table; a key that no key can be; a view that has fallen behind the
 * horizon; a record or a link that fails its checks.
 *
 * Invariant: all that is lent stays, since the section is an epoch section: segments are unpinned,
 * and nodes freed, only when it is over.
 */
#include "engine/engine.h"
#include "engine/place_row.h"

#include "base/assert.h"
#include "engine/lookup.h"
#include "engine/shortcut_find.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static int view_lsn(struct weir_engine *engine, const struct weir_read_options *options,
                    weir_lsn *ret_as_of)
{
    if (options == NULL || options->view == WEIR_VIEW_NEWEST) {
        *ret_as_of = UINT64_MAX;
        return 0;
    }
    weir_lsn settled = engine_settled(engine);
    if (options->view == WEIR_VIEW_DURABLE) {
        *ret_as_of = settled;
        return 0;
    }
    if (options->lsn < atomic_load_explicit(&engine->horizon, memory_order_acquire)) {
        return WEIR_E_HORIZON;
    }
    *ret_as_of = options->lsn;
    return options->lsn <= settled ? 0 : -EAGAIN;
}

static bool options_are_valid(const struct weir_read_options *options)
{
    return options == NULL || (options->size == sizeof *options && options->reserved == 0 &&
                               options->view <= WEIR_VIEW_AS_OF);
}

int weir_read_begin(struct weir_engine *engine, const struct weir_read_options *options,
                    struct weir_read *ret_read)
{
    if (engine == NULL || ret_read == NULL || !options_are_valid(options)) {
        return -EINVAL;
    }
    int rc = engine_check(engine);
    if (rc < 0) {
        return rc;
    }
    struct weir_read read = {.engine = engine};
    rc = section_enter(engine, &read.slot);
    if (rc < 0) {
        return rc;
    }
    rc = view_lsn(engine, options, &read.as_of);
    if (rc < 0) {
        epoch_leave(&engine->epochs, read.slot);
        return rc;
    }
    *ret_read = read;
    return 0;
}

void weir_read_end(struct weir_read *read)
{
    WEIR_ASSERT(read->scans == 0);
    epoch_leave(&read->engine->epochs, read->slot);
    read->engine = NULL;
}

static inline bool key_is_valid(struct weir_bytes key)
{
    return key.data != NULL && key.size > 0 && key.size <= WEIR_KEY_BYTES_MAX;
}

/* From what place_find() has found to the version that the view shows: 1, a delete too; 0; errors.
 */
static int judge(struct weir_read *read, int rc, struct engine_version *version)
{
    if (read->as_of != UINT64_MAX && rc >= 0) {
        struct engine_version none = {.lsn = WEIR_LSN_NONE};
        int judged = version_as_of(read->engine, read->as_of, rc == 1 ? version : &none);
        rc = rc == 1 || judged < 0 ? judged : 0;
    }
    return rc;
}

static int find(struct weir_read *read, weir_table number, struct weir_bytes key,
                struct engine_version *ret_version)
{
    struct engine_table *table = table_of(read->engine, number);
    if (table == NULL) {
        return WEIR_E_NO_TABLE;
    }
    if (!key_is_valid(key)) {
        return WEIR_E_KEY;
    }
    return judge(read, place_find(&read->engine->places, table, key, ret_version), ret_version);
}

/* The row of a key, in a view that shows the newest; `slot` is that of the only address that it may
 * be at. 1; 0; errors. */
static inline int get_newest(struct weir_read *read, struct place_slot *slot, uint64_t address,
                             struct weir_bytes key, struct weir_row *ret_row)
{
    struct weir_row row;
    int rc = place_row_in(&read->engine->places, slot, address, &row);
    if (rc != 1 || !record_key_is(row.key, key)) {
        return rc < 0 ? rc : 0;
    }
    *ret_row = row;
    return 1;
}

/* Likewise in the other views; an address of 0: the index has none. */
static int get_as_of(struct weir_read *read, uint64_t address, struct weir_bytes key,
                     struct weir_row *ret_row)
{
    struct engine_version version;
    int rc = address != 0 ? place_match(&read->engine->places, address, key, &version) : 0;
    rc = judge(read, rc, &version);
    if (rc != 1 || version.operation == WEIR_REMOVE) {
        return rc < 0 ? rc : 0;
    }
    *ret_row = (struct weir_row){version.key, version.value, version.lsn};
    return 1;
}

static inline int get_at(struct weir_read *read, struct place_slot *slot, uint64_t address,
                         struct weir_bytes key, struct weir_row *ret_row)
{
    if (__builtin_expect(read->as_of != UINT64_MAX, 0)) {
        return get_as_of(read, address, key, ret_row);
    }
    return address != 0 ? get_newest(read, slot, address, key, ret_row) : 0;
}

__attribute__((noinline)) static int get_slowly(struct weir_read *read, uint64_t address,
                                                struct weir_bytes key, struct weir_row *ret_row)
{
    return get_at(read, place_slot_of(&read->engine->places, address), address, key, ret_row);
}

static inline bool is_newest(const struct weir_read *read)
{
    return __builtin_expect(read->as_of == UINT64_MAX, 1);
}

/* The row of a key whose way has come to a node, or that is looked for from the root on. */
__attribute__((noinline)) static int get_from(struct weir_read *read, struct engine_table *table,
                                              uint64_t word, struct weir_bytes key,
                                              struct weir_row *ret_row)
{
    struct weir_engine *engine = read->engine;
    const struct index_key wanted = {key.data, (uint32_t)key.size};
    uint32_t next = 0;
    uint64_t leaf = lookup_rest_to(&engine->arena, word, wanted, &next);
    if (leaf_parts(&engine->arena, leaf, wanted, next)) {
        leaf = 0; /* the record of another key is not looked at */
    }
    bool is_plain = leaf != 0 && is_newest(read) && key.size <= RECORD_KEY_INLINE &&
                    place_row_of(&engine->places, leaf, key, ret_row);
    int rc = is_plain ? 1 : get_slowly(read, leaf_address(&engine->arena, leaf), key, ret_row);
    if (rc == 1 && is_newest(read) && shortcut_serves(key.size) &&
        shortcut_may_learn(&table->index, leaf)) {
        shortcut_learn(&table->index, wanted, leaf);
    }
    return rc;
}

static int get_of_table(struct weir_read *read, struct engine_table *table, struct weir_bytes key,
                        struct weir_row *ret_row)
{
    if (!key_is_valid(key)) {
        return WEIR_E_KEY;
    }
    uint64_t root = atomic_load_explicit(&table->index.root, memory_order_acquire);
    return get_from(read, table, root, key, ret_row);
}

/* The row of a key at a shortcut's spot, where the segment may have to be checked first. */
static bool is_at_spot(struct engine_places *places, uint32_t spot, struct weir_bytes key,
                       struct weir_row *ret_row)
{
    /* Acquire pairs with the release in place_claim(). */
    struct wal_segment *segment =
        atomic_load_explicit(&place_near(places, spot)->segment, memory_order_acquire);
    struct weir_row row;
    if (segment == NULL ||
        place_row_from(places, segment, place_near_offset(places, spot), &row) != 1 ||
        !record_key_is(row.key, key)) {
        return false;
    }
    *ret_row = row;
    return true;
}

/* The row of a key that its first spot did not lead to: another of the same tag may, and one in
 * memory that is not checked; else the index knows. */
__attribute__((noinline)) static int get_past_first(struct weir_read *read,
                                                    struct engine_table *table,
                                                    const struct shortcut_map *map,
                                                    struct weir_bytes key, struct weir_row *ret_row)
{
    uint32_t spots[SHORTCUT_SPOTS];
    unsigned count =
        is_newest(read) ? shortcut_find_all(map, shortcut_hash(key.data, key.size), spots) : 0;
    for (unsigned at = 0; at < count; at++) {
        if (is_at_spot(&read->engine->places, spots[at], key, ret_row)) {
            return 1;
        }
    }
    return get_of_table(read, table, key, ret_row);
}

/* The row of a key at its first spot, in a view that shows the newest. False: see
 * get_past_first(). */
__attribute__((always_inline)) static inline bool get_near(struct weir_read *read,
                                                           const struct shortcut_map *map,
                                                           struct weir_bytes key,
                                                           struct weir_row *ret_row)
{
    uint32_t spot = shortcut_find(map, shortcut_hash(key.data, key.size));
    return __builtin_expect(spot != 0, 1) && is_newest(read) &&
           __builtin_expect(place_row_near(&read->engine->places, spot, key, ret_row), 1);
}

/* A get where the index has no shortcuts, of a key of 8 to RECORD_KEY_INLINE bytes. */
static inline int get_straight(struct weir_read *read, struct engine_table *table,
                               struct weir_bytes key, struct weir_row *ret_row)
{
    struct weir_engine *engine = read->engine;
    const struct index_key wanted = {key.data, (uint32_t)key.size};
    uint64_t word = lookup_begin(&engine->arena, &table->index, wanted);
    if (word_is_leaf(word) && is_newest(read) && !shortcut_is_sample(word) &&
        __builtin_expect(place_row_of(&engine->places, word, key, ret_row), 1)) {
        return 1;
    }
    /* From the root once more: what the leaf knows depends on where it hangs. */
    return word_is_leaf(word) ? get_of_table(read, table, key, ret_row)
                              : get_from(read, table, word, key, ret_row);
}

/* A get of any key. */
__attribute__((noinline)) static int get_any(struct weir_read *read, struct engine_table *table,
                                             const struct shortcut_map *map, struct weir_bytes key,
                                             struct weir_row *ret_row)
{
    const size_t least = sizeof(uint64_t);
    bool serves = key.data != NULL && shortcut_serves(key.size);
    if (map != NULL && serves) {
        return __builtin_expect(get_near(read, map, key, ret_row), 1)
                   ? 1
                   : get_past_first(read, table, map, key, ret_row);
    }
    return serves && key.size >= least ? get_straight(read, table, key, ret_row)
                                       : get_of_table(read, table, key, ret_row);
}

/* A number that has a shortcut is few instructions, whose sizes are constants, and all else goes
 * elsewhere at once: see engine/lookup.h. */
int weir_get(struct weir_read *read, weir_table number, struct weir_bytes key,
             struct weir_row *ret_row)
{
    if (read == NULL || read->engine == NULL || ret_row == NULL) {
        return -EINVAL;
    }
    struct engine_table *table = table_of(read->engine, number);
    if (table == NULL) {
        return WEIR_E_NO_TABLE;
    }
    /* Acquire pairs with the release in shortcut.c: the lines are there. */
    const struct shortcut_map *map =
        atomic_load_explicit(&table->index.shortcut_map, memory_order_acquire);
    if (map == NULL || key.size != sizeof(uint64_t) || key.data == NULL) {
        return get_any(read, table, map, key, ret_row);
    }
    key.size = sizeof(uint64_t);
    return __builtin_expect(get_near(read, map, key, ret_row), 1)
               ? 1
               : get_past_first(read, table, map, key, ret_row);
}

/* ---- many keys ---- */

/* Keys whose records are on their way, while others go down the index. */
struct group {
    unsigned count;
    struct index_lane lanes[INDEX_LANES];
};

static void send_group(struct weir_read *read, struct engine_table *table,
                       const struct weir_bytes *keys, size_t count, struct group *group)
{
    group->count = count < INDEX_LANES ? (unsigned)count : INDEX_LANES;
    for (unsigned i = 0; i < group->count; i++) {
        group->lanes[i].index = &table->index;
        group->lanes[i].key = key_is_valid(keys[i])
                                  ? (struct index_key){keys[i].data, (uint32_t)keys[i].size}
                                  : (struct index_key){NULL, 0};
    }
    place_prefetch_keys(&read->engine->places, group->lanes, group->count);
}

/* Reads the records of a group: how many there are. *error: of the first key that failed. */
static int take_group(struct weir_read *read, const struct weir_bytes *keys,
                      const struct group *group, struct weir_row *ret_rows, int *error)
{
    int found = 0;
    for (unsigned i = 0; i < group->count; i++) {
        uint64_t address = group->lanes[i].address;
        struct place_slot *slot = place_slot_of(&read->engine->places, address);
        int rc =
            key_is_valid(keys[i]) ? get_at(read, slot, address, keys[i], &ret_rows[i]) : WEIR_E_KEY;
        if (rc != 1) {
            ret_rows[i] = (struct weir_row){.lsn = WEIR_LSN_NONE};
        }
        found += rc == 1;
        *error = *error == 0 && rc < 0 ? rc : *error;
    }
    return found;
}

/* The next group is sent before the records of this one are read. */
int weir_get_batch(struct weir_read *read, weir_table number, const struct weir_bytes *keys,
                   size_t count, struct weir_row *ret_rows)
{
    if (read == NULL || read->engine == NULL || count > INT_MAX ||
        (count > 0 && (keys == NULL || ret_rows == NULL))) {
        return -EINVAL;
    }
    struct engine_table *table = table_of(read->engine, number);
    if (table == NULL) {
        return WEIR_E_NO_TABLE;
    }
    struct group groups[2];
    int found = 0, error = 0;
    send_group(read, table, keys, count, &groups[0]);
    for (size_t taken = 0, turn = 0; taken < count; turn ^= 1) {
        struct group *group = &groups[turn];
        size_t sent = taken + group->count;
        send_group(read, table, keys + sent, count - sent, &groups[turn ^ 1]);
        found += take_group(read, keys + taken, group, ret_rows + taken, &error);
        taken = sent;
    }
    return error < 0 ? error : found;
}

/* ---- history ---- */

int weir_history_begin(struct weir_read *read, weir_table table, struct weir_bytes key,
                       struct weir_history *ret_history)
{
    if (read == NULL || read->engine == NULL || ret_history == NULL) {
        return -EINVAL;
    }
    struct engine_version version;
    int rc = find(read, table, key, &version);
    if (rc < 0) {
        return rc;
    }
    *ret_history = (struct weir_history){.read = read, .address = rc == 1 ? version.address : 0};
    return 0;
}

static uint64_t time_of(struct weir_engine *engine, weir_lsn lsn)
{
    uint64_t address, time_ns;
    return wal_address_find(engine->log, lsn, &address, &time_ns) == 0 ? time_ns : 0;
}

int weir_history_next(struct weir_history *history, struct weir_key_version *ret_version)
{
    if (history == NULL || history->read == NULL || ret_version == NULL) {
        return -EINVAL;
    }
    if (history->address == 0) {
        return 0;
    }
    struct weir_engine *engine = history->read->engine;
    struct engine_version version, before;
    int rc = place_version(&engine->places, history->address, &version);
    if (rc < 0) {
        history->address = 0;
        return rc;
    }
    rc = version_before(engine, &version, &before);
    if (rc < 0 && history->lsn != version.lsn) {
        /* This version is whole: it is lent now, and the next call says what is wrong. */
        history->lsn = version.lsn;
    } else if (rc < 0) {
        history->address = 0;
        return rc;
    } else {
        history->address = rc == 1 ? before.address : 0;
    }
    *ret_version = (struct weir_key_version){
        .lsn = version.lsn,
        .time_ns = time_of(engine, version.lsn),
        .deleted = version.operation == WEIR_REMOVE,
        .value = version.value,
    };
    return 1;
}
