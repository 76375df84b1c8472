/*
 * Shortcuts: made by gets, kept right by who changes the index.
 *
 * Happy path: a get finds no shortcut and goes down the index; it locks the key's line if it is
 * free, looks once more, and puts the spot into a free place of the line. A put holds the line
 * while it changes the index, and then moves the spot.
 *
 * Failure modes: no memory for a map: gets go down the index. A line is full: the key has no
 * shortcut until there is a larger map.
 *
 * A map that has become too small is followed by an empty one: which hash a key had would have to
 * be found at its record. It is announced first, so that those who change the index hold its lines,
 * too, and used when all sections are over that began before, in whose changes it was not known.
 */
#include "engine/shortcut_find.h"

#include "base/assert.h"
#include "engine/lookup.h"

/* Gets without a shortcut between two looks at how large the map should be. */
#define LOOK_EVERY 1024u

/* A map is made when so many of the keys were asked for: 1 / this. */
#define ASKED_SHARE 32u

/* ---- maps ---- */

static void free_map(struct engine_shortcuts *shortcuts, struct shortcut_map *map)
{
    uint64_t bytes = map->count * sizeof *map->lines;
    base_pages_free(map->lines, bytes);
    base_free(map);
    atomic_fetch_sub_explicit(&shortcuts->bytes, bytes, memory_order_relaxed);
}

static struct shortcut_map *make_map(struct index *index, uint64_t count)
{
    struct shortcut_map *map = base_alloc_zero(sizeof *map);
    if (map == NULL) {
        return NULL;
    }
    map->index = index;
    map->count = count;
    map->lines = base_pages_alloc(count * sizeof *map->lines, BASE_PAGES_HUGE | BASE_PAGES_RESERVE);
    if (map->lines == NULL) {
        base_free(map);
        return NULL;
    }
    atomic_fetch_add_explicit(&index->shortcuts->bytes, count * sizeof *map->lines,
                              memory_order_relaxed);
    return map;
}

/* No section is open any more in which the index may be changed without holding lines of it. */
static void arrive_list(void *context, struct epoch_retired *list)
{
    struct engine_shortcuts *shortcuts = context;
    while (list != NULL) {
        struct epoch_retired *next = epoch_retired_next(list);
        struct shortcut_map *map = (struct shortcut_map *)(void *)list;
        struct index *index = map->index;
        struct shortcut_map *before =
            atomic_load_explicit(&index->shortcut_map, memory_order_relaxed);
        /* In this order: see shortcut_hold(). Release: the lines are there. */
        atomic_store_explicit(&index->shortcut_map, map, memory_order_release);
        atomic_store_explicit(&index->shortcut_coming, NULL, memory_order_release);
        if (before != NULL) {
            epoch_retire(&shortcuts->leaving, &before->retired,
                         before->count * sizeof *before->lines);
        }
        list = next;
    }
}

static void leave_list(void *context, struct epoch_retired *list)
{
    while (list != NULL) {
        struct epoch_retired *next = epoch_retired_next(list);
        free_map(context, (struct shortcut_map *)(void *)list);
        list = next;
    }
}

/* The last bag that was made is emptied first when all are: into the other one. */
void shortcuts_init(struct engine_shortcuts *shortcuts, struct engine_epochs *epochs)
{
    epoch_bag_init(&shortcuts->leaving, epochs, leave_list, shortcuts);
    epoch_bag_init(&shortcuts->arriving, epochs, arrive_list, shortcuts);
}

void shortcuts_destroy(struct engine_shortcuts *shortcuts)
{
    epoch_bag_destroy(&shortcuts->arriving);
    epoch_bag_destroy(&shortcuts->leaving);
}

void shortcut_drop(struct index *index)
{
    struct shortcut_map *map =
        atomic_exchange_explicit(&index->shortcut_map, NULL, memory_order_relaxed);
    WEIR_ASSERT(atomic_load_explicit(&index->shortcut_coming, memory_order_relaxed) == NULL);
    if (map != NULL) {
        free_map(index->shortcuts, map);
    }
}

/* ---- growing ---- */

static bool is_eager(const struct index *index)
{
    return atomic_load_explicit(&index->shortcuts->eager, memory_order_relaxed);
}

/* How many lines the map should have; 0: it is as it should be. */
static uint64_t lines_wanted(struct index *index)
{
    const struct shortcut_map *map =
        atomic_load_explicit(&index->shortcut_map, memory_order_relaxed);
    uint64_t have = map != NULL ? map->count : 0;
    uint64_t keys = index_keys(index);
    uint64_t missed = atomic_load_explicit(&index->shortcut_missed, memory_order_relaxed);
    bool few = !is_eager(index) && (keys < SHORTCUT_KEYS_MIN || missed < keys / ASKED_SHARE);
    if (few || keys <= have * SHORTCUT_SPOTS_MOST) {
        return 0;
    }
    uint64_t wanted = keys / SHORTCUT_SPOTS_MEANT + 1;
    return wanted < UINT32_MAX ? wanted : UINT32_MAX; /* of as many bits is the hash */
}

static void announce(struct index *index, uint64_t lines)
{
    struct shortcut_map *map = make_map(index, lines);
    atomic_store_explicit(&index->shortcut_missed, 0, memory_order_relaxed);
    if (map != NULL) {
        /* Release: the lines are there, for who changes the index from now on. */
        atomic_store_explicit(&index->shortcut_coming, map, memory_order_release);
        epoch_retire(&index->shortcuts->arriving, &map->retired, 0);
    }
}

/* A get, or several for one that was counted, had no shortcut. */
static void miss(struct index *index, uint64_t gets)
{
    uint64_t before =
        atomic_fetch_add_explicit(&index->shortcut_missed, gets, memory_order_relaxed);
    bool looks = before / LOOK_EVERY != (before + gets) / LOOK_EVERY || is_eager(index);
    if (!looks || !base_lock_try(&index->shortcut_growing)) {
        return;
    }
    /* Acquire: when it has arrived, lines_wanted() sees it. */
    bool coming = atomic_load_explicit(&index->shortcut_coming, memory_order_acquire) != NULL;
    uint64_t lines = coming ? 0 : lines_wanted(index);
    if (lines != 0) {
        announce(index, lines);
    }
    base_lock_release(&index->shortcut_growing);
    if (coming || lines != 0) {
        (void)epoch_reclaim(index->epochs);
    }
}

void shortcut_begin(struct index *index)
{
    if (index->shortcuts->none) {
        return;
    }
    atomic_store_explicit(&index->shortcuts->eager, true, memory_order_relaxed);
    announce(index, 1);
    (void)epoch_reclaim(index->epochs);
}

/* ---- finding ---- */

static uint32_t equal_tags(struct shortcut_line *line, unsigned tag)
{
    return base_match_16(line->head, tag) >> sizeof line->lock;
}

unsigned shortcut_find_all(const struct shortcut_map *map, uint64_t hash,
                           uint32_t ret_spots[SHORTCUT_SPOTS])
{
    struct shortcut_line *line = shortcut_line_of(map, hash);
    unsigned count = 0;
    /* Acquire, here and below: as in shortcut_find(). */
    bool locked = atomic_load_explicit(&line->lock.state, memory_order_acquire) != BASE_LOCK_FREE;
    uint32_t equal = locked ? 0 : equal_tags(line, shortcut_tag(hash));
    for (; equal != 0; equal &= equal - 1) {
        uint32_t spot =
            atomic_load_explicit(&line->spots[__builtin_ctz(equal)], memory_order_acquire);
        ret_spots[count] = spot;
        count += spot != 0;
    }
    return count;
}

/* ---- learning ---- */

/* The place of a spot in a line that is held; SHORTCUT_SPOTS: it is not there. */
static unsigned place_of(struct shortcut_line *line, unsigned tag, uint32_t spot)
{
    for (uint32_t equal = equal_tags(line, tag); equal != 0; equal &= equal - 1) {
        unsigned place = (unsigned)__builtin_ctz(equal);
        if (atomic_load_explicit(&line->spots[place], memory_order_relaxed) == spot) {
            return place;
        }
    }
    return SHORTCUT_SPOTS;
}

static uint32_t spot_at(const struct shortcut_line *line, unsigned place)
{
    return atomic_load_explicit(&line->spots[place], memory_order_relaxed);
}

/* Release pairs with the acquire in shortcut_find(): the segment that the spot lies in is known. */
static void set_place(struct shortcut_line *line, unsigned place, unsigned tag, uint32_t spot)
{
    atomic_store_explicit(&line->tags[place], (uint8_t)tag, memory_order_relaxed);
    atomic_store_explicit(&line->spots[place], spot, memory_order_release);
}

/* How many places are used: the first ones, so that no tag hides another that nobody needs. */
static unsigned used_places(const struct shortcut_line *line)
{
    unsigned used = 0;
    while (used < SHORTCUT_SPOTS && spot_at(line, used) != 0) {
        used++;
    }
    return used;
}

/* Frees a place: the last one takes it. Whoever reads meanwhile finds what is not the key's. */
static void free_place(struct shortcut_line *line, unsigned place)
{
    unsigned last = used_places(line) - 1;
    if (place != last) {
        set_place(line, place, atomic_load_explicit(&line->tags[last], memory_order_relaxed),
                  spot_at(line, last));
    }
    set_place(line, last, 0, 0);
}

/* Where there is room. The line is held. */
static void add(struct shortcut_line *line, unsigned tag, uint32_t spot)
{
    unsigned place = used_places(line);
    if (place != SHORTCUT_SPOTS && place_of(line, tag, spot) == SHORTCUT_SPOTS) {
        set_place(line, place, tag, spot);
    }
}

static bool claim(struct index *index, uint64_t address)
{
    return index->source.claim != NULL && index->source.claim(index->source.context, address);
}

/* Would a get that has found the key in the index learn anything? One look, so that a key that is
 * behind another of the same tag, or has no room, does not take the line from others each time. */
static bool may_add(struct shortcut_line *line, unsigned tag, uint64_t address)
{
    return place_of(line, tag, shortcut_spot(address)) == SHORTCUT_SPOTS &&
           spot_at(line, SHORTCUT_SPOTS - 1) == 0;
}

static void learn(struct index *index, const struct shortcut_map *map, struct index_key key,
                  uint64_t word)
{
    uint64_t hash = shortcut_hash(key.data, key.size);
    uint64_t address = leaf_address(index->arena, word);
    struct shortcut_line *line = shortcut_line_of(map, hash);
    unsigned tag = shortcut_tag(hash);
    if (!may_add(line, tag, address)) {
        if (shortcut_is_sample(word)) {
            miss(index, SHORTCUT_SAMPLE);
        }
        return;
    }
    if (!base_lock_try(&line->lock)) {
        return;
    }
    /* Nobody changes the key meanwhile. */
    if (lookup_leaf(index->arena, index, key) == word && claim(index, address)) {
        add(line, tag, shortcut_spot(address));
    }
    base_lock_release(&line->lock);
}

void shortcut_learn(struct index *index, struct index_key key, uint64_t word)
{
    if (index->shortcuts->none) {
        return;
    }
    /* Acquire pairs with the release in arrive_list(). */
    const struct shortcut_map *map =
        atomic_load_explicit(&index->shortcut_map, memory_order_acquire);
    if (map != NULL) {
        learn(index, map, key, word);
    } else {
        miss(index, SHORTCUT_SAMPLE);
    }
}

/* ---- keeping them right ---- */

static struct shortcut_line *hold_line(const struct shortcut_map *map, uint64_t hash)
{
    if (map == NULL) {
        return NULL;
    }
    struct shortcut_line *line = shortcut_line_of(map, hash);
    base_lock_acquire(&line->lock);
    return line;
}

void shortcut_hold(struct index *index, struct index_key key, struct shortcut_hold *ret_hold)
{
    /* What is coming first: one that is not coming any more is there. Acquire pairs with the
     * release in announce() and in arrive_list(). */
    const struct shortcut_map *coming =
        atomic_load_explicit(&index->shortcut_coming, memory_order_acquire);
    const struct shortcut_map *map =
        atomic_load_explicit(&index->shortcut_map, memory_order_acquire);
    *ret_hold = (struct shortcut_hold){0};
    if ((map == NULL && coming == NULL) || !shortcut_serves(key.size)) {
        return;
    }
    uint64_t hash = shortcut_hash(key.data, key.size);
    ret_hold->tag = shortcut_tag(hash);
    ret_hold->lines[0] = hold_line(map, hash);
    ret_hold->lines[1] = coming != map ? hold_line(coming, hash) : NULL;
}

static void move(struct index *index, struct shortcut_line *line, unsigned tag, uint64_t from,
                 uint64_t to)
{
    bool moves = from != 0 && from != to;
    unsigned place = moves ? place_of(line, tag, shortcut_spot(from)) : SHORTCUT_SPOTS;
    if (place != SHORTCUT_SPOTS) {
        if (to != 0 && claim(index, to)) {
            set_place(line, place, tag, shortcut_spot(to));
        } else {
            free_place(line, place);
        }
    }
}

void shortcut_release(struct index *index, struct shortcut_hold *hold, uint64_t from, uint64_t to)
{
    for (unsigned at = 0; at < 2; at++) {
        if (hold->lines[at] != NULL) {
            move(index, hold->lines[at], hold->tag, from, to);
            base_lock_release(&hold->lines[at]->lock);
        }
    }
}
