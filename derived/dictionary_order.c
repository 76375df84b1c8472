/*
 * The numbers of a dictionary in the order of their texts: made on demand, and kept.
 *
 *   added:    the number is noted; beyond DICTIONARY_FEW of them only that it is not ordered
 *   removing: its position becomes a hole; beyond DICTIONARY_FEW holes only a stale number
 *   order:    stale ones leave, new ones are sorted by themselves and merged from the back
 *
 * A few changes cost a binary search each and one move of what lies behind; many cost one look at
 * each number. Sorting compares 8 bytes behind what all new texts begin with before it looks at
 * the texts.
 *
 * Failure: -ENOMEM, and the order is as it was: the next call tries again.
 *
 * Invariants: `numbers` without its stale ones is sorted; an entry is_ordered when its number is
 * among those; stale ones are DICTIONARY_NONE while they are few.
 */
#include "derived/dictionary.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "derived/dictionary_entry.h"

#include <errno.h>
#include <string.h>

#define RUN 12u         /* elements that are sorted by insertion */
#define FEW_OF_MANY 32u /* one new among so many: its place is searched, else merged along */
#define ORDER_CAPACITY_MIN 16u

/* A number to be sorted, with the 8 bytes of its text behind the common prefix. */
struct sortable {
    uint64_t head; /* as a big-endian number */
    uint32_t number;
    uint32_t tail; /* bytes of the text from the head's first on, 8 and more count as 8 */
};

int dictionary_compare(struct weir_bytes left, struct weir_bytes right)
{
    size_t size = left.size < right.size ? left.size : right.size;
    int order = size > 0 ? memcmp(left.data, right.data, size) : 0;
    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}

static int compare_to(const struct dictionary *dictionary, uint32_t number, struct weir_bytes text)
{
    return dictionary_compare(dictionary_entry_text(dictionary, number), text);
}

/* The first position in [0, end) whose text is not less. Holes are passed over. */
static uint32_t search(const struct dictionary *dictionary, uint32_t end, struct weir_bytes text)
{
    const uint32_t *numbers = dictionary->order.numbers;
    uint32_t low = 0;
    uint32_t high = end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t probe = middle;
        while (probe < high && numbers[probe] == DICTIONARY_NONE) {
            probe++;
        }
        if (probe == high) {
            high = middle;
        } else if (compare_to(dictionary, numbers[probe], text) < 0) {
            low = probe + 1;
        } else {
            high = middle;
        }
    }
    while (low < end && numbers[low] == DICTIONARY_NONE) {
        low++;
    }
    return low;
}

/* ---- what changes ---- */

void dictionary_order_added(struct dictionary *dictionary, uint32_t number)
{
    struct dictionary_order *order = &dictionary->order;
    if (order->recent_count < DICTIONARY_FEW) {
        order->recent[order->recent_count] = number;
    }
    order->recent_count += order->recent_count <= DICTIONARY_FEW;
}

void dictionary_order_removing(struct dictionary *dictionary, uint32_t number)
{
    struct dictionary_order *order = &dictionary->order;
    struct dictionary_entry *entry = &dictionary->entries[number];
    if (!entry->is_ordered) {
        return;
    }
    if (order->stale < DICTIONARY_FEW) {
        uint32_t at = search(dictionary, order->count, dictionary_entry_text(dictionary, number));
        WEIR_ASSERT(at < order->count && order->numbers[at] == number);
        order->numbers[at] = DICTIONARY_NONE;
        order->holes[order->hole_count++] = at;
    }
    order->stale++;
    entry->is_ordered = 0;
}

void dictionary_order_free(struct dictionary *dictionary)
{
    base_free(dictionary->order.numbers);
    dictionary->order = (struct dictionary_order){0};
}

/* ---- stale ones leave ---- */

static void sort_positions(uint32_t *positions, uint32_t count)
{
    for (uint32_t at = 1; at < count; at++) {
        uint32_t position = positions[at];
        uint32_t to = at;
        for (; to > 0 && positions[to - 1] > position; to--) {
            positions[to] = positions[to - 1];
        }
        positions[to] = position;
    }
}

static void close_holes(struct dictionary_order *order)
{
    sort_positions(order->holes, order->hole_count);
    uint32_t to = order->holes[0];
    for (uint32_t index = 0; index < order->hole_count; index++) {
        uint32_t from = order->holes[index] + 1;
        uint32_t end = index + 1 < order->hole_count ? order->holes[index + 1] : order->count;
        memmove(order->numbers + to, order->numbers + from, (end - from) * sizeof(uint32_t));
        to += end - from;
    }
    order->count = to;
}

static void drop_stale(struct dictionary *dictionary)
{
    struct dictionary_order *order = &dictionary->order;
    if (order->stale > order->hole_count) {
        uint32_t kept = 0;
        for (uint32_t at = 0; at < order->count; at++) {
            uint32_t number = order->numbers[at];
            if (number != DICTIONARY_NONE && dictionary->entries[number].is_ordered) {
                order->numbers[kept++] = number;
            }
        }
        WEIR_ASSERT(kept + order->stale == order->count);
        order->count = kept;
    } else if (order->hole_count > 0) {
        close_holes(order);
    }
    order->stale = 0;
    order->hole_count = 0;
}

/* ---- new ones are collected and sorted ---- */

static bool is_new(const struct dictionary *dictionary, uint32_t number)
{
    const struct dictionary_entry *entry = &dictionary->entries[number];
    return !entry->is_free && !entry->is_ordered;
}

/* Marks them, too: so one that was removed and added again comes once. */
static void collect_new(struct dictionary *dictionary, struct sortable *all, uint32_t count)
{
    const struct dictionary_order *order = &dictionary->order;
    bool few = order->recent_count <= DICTIONARY_FEW;
    uint32_t end = few ? order->recent_count : dictionary->end;
    uint32_t found = 0;
    for (uint32_t index = 0; index < end; index++) {
        uint32_t number = few ? order->recent[index] : index;
        if (is_new(dictionary, number)) {
            dictionary->entries[number].is_ordered = 1;
            WEIR_ASSERT(found < count);
            all[found++].number = number;
        }
    }
    WEIR_ASSERT(found == count);
}

static size_t common_prefix(const struct dictionary *dictionary, const struct sortable *all,
                            uint32_t count)
{
    struct weir_bytes first = dictionary_entry_text(dictionary, all[0].number);
    size_t common = first.size;
    for (uint32_t index = 1; index < count && common > 0; index++) {
        struct weir_bytes text = dictionary_entry_text(dictionary, all[index].number);
        common = text.size < common ? text.size : common;
        size_t same = 0;
        while (same < common &&
               ((const uint8_t *)text.data)[same] == ((const uint8_t *)first.data)[same]) {
            same++;
        }
        common = same;
    }
    return common;
}

static void read_heads(const struct dictionary *dictionary, struct sortable *all, uint32_t count)
{
    size_t prefix = common_prefix(dictionary, all, count);
    for (uint32_t index = 0; index < count; index++) {
        struct weir_bytes text = dictionary_entry_text(dictionary, all[index].number);
        size_t tail = text.size - prefix;
        uint8_t head[8] = {0};
        memcpy(head, (const uint8_t *)text.data + prefix, tail < 8 ? tail : 8);
        all[index].tail = tail < 8 ? (uint32_t)tail : 8;
        all[index].head = 0;
        for (unsigned byte = 0; byte < 8; byte++) {
            all[index].head = all[index].head << 8 | head[byte];
        }
    }
}

static bool is_less(const struct dictionary *dictionary, const struct sortable *left,
                    const struct sortable *right)
{
    if (left->head != right->head) {
        return left->head < right->head;
    }
    if (left->tail < 8 || right->tail < 8) {
        return left->tail < right->tail;
    }
    return compare_to(dictionary, left->number, dictionary_entry_text(dictionary, right->number)) <
           0;
}

static void sort_run(const struct dictionary *dictionary, struct sortable *run, uint32_t count)
{
    for (uint32_t at = 1; at < count; at++) {
        struct sortable moving = run[at];
        uint32_t to = at;
        for (; to > 0 && is_less(dictionary, &moving, &run[to - 1]); to--) {
            run[to] = run[to - 1];
        }
        run[to] = moving;
    }
}

static void merge_runs(const struct dictionary *dictionary, const struct sortable *left,
                       uint32_t left_count, uint32_t right_count, struct sortable *to)
{
    const struct sortable *right = left + left_count;
    const struct sortable *left_end = right;
    const struct sortable *right_end = right + right_count;
    while (left < left_end && right < right_end) {
        *to++ = is_less(dictionary, right, left) ? *right++ : *left++;
    }
    memcpy(to, left, (size_t)(left_end - left) * sizeof *to);
    memcpy(to + (left_end - left), right, (size_t)(right_end - right) * sizeof *to);
}

/* From runs upwards, between the two halves of the room. Returns the half that is sorted. */
static struct sortable *sort_all(const struct dictionary *dictionary, struct sortable *all,
                                 uint32_t count)
{
    struct sortable *from = all;
    struct sortable *to = all + count;
    for (uint32_t at = 0; at < count; at += RUN) {
        sort_run(dictionary, from + at, count - at < RUN ? count - at : RUN);
    }
    for (uint64_t width = RUN; width < count; width *= 2) {
        for (uint64_t at = 0; at < count; at += 2 * width) {
            uint64_t left = count - at < width ? count - at : width;
            uint64_t right = count - at - left < width ? count - at - left : width;
            merge_runs(dictionary, from + at, (uint32_t)left, (uint32_t)right, to + at);
        }
        struct sortable *other = from;
        from = to;
        to = other;
    }
    return from;
}

int dictionary_sort(const struct dictionary *dictionary, uint32_t *numbers, uint32_t count)
{
    if (count < 2) {
        return 0;
    }
    struct sortable *room = base_alloc((size_t)count * 2 * sizeof *room);
    if (room == NULL) {
        return -ENOMEM;
    }
    for (uint32_t index = 0; index < count; index++) {
        room[index].number = numbers[index];
    }
    read_heads(dictionary, room, count);
    const struct sortable *sorted = sort_all(dictionary, room, count);
    for (uint32_t index = 0; index < count; index++) {
        numbers[index] = sorted[index].number;
    }
    base_free(room);
    return 0;
}

/* ---- and merged, from the back ---- */

/* Where `text` belongs among the first `end` of the old ones. */
static uint32_t place_of(const struct dictionary *dictionary, uint32_t end, bool few,
                         struct weir_bytes text)
{
    if (few) {
        return search(dictionary, end, text);
    }
    while (end > 0 && compare_to(dictionary, dictionary->order.numbers[end - 1], text) > 0) {
        end--;
    }
    return end;
}

static void merge_new(struct dictionary *dictionary, const struct sortable *sorted, uint32_t count)
{
    struct dictionary_order *order = &dictionary->order;
    bool few = count < order->count / FEW_OF_MANY;
    uint32_t end = order->count;
    for (uint32_t left = count; left > 0; left--) {
        uint32_t number = sorted[left - 1].number;
        uint32_t at = place_of(dictionary, end, few, dictionary_entry_text(dictionary, number));
        if (end > at) {
            memmove(order->numbers + at + left, order->numbers + at, (end - at) * sizeof(uint32_t));
        }
        order->numbers[at + left - 1] = number;
        end = at;
    }
    order->count += count;
}

static int make_room_in_order(struct dictionary_order *order, uint32_t count)
{
    if (count <= order->capacity) {
        return 0;
    }
    uint64_t wanted = (uint64_t)count + count / 4 + ORDER_CAPACITY_MIN;
    uint32_t capacity = wanted > UINT32_MAX ? UINT32_MAX : (uint32_t)wanted;
    uint32_t *grown = base_alloc(capacity * sizeof *grown);
    if (grown == NULL) {
        return -ENOMEM;
    }
    if (order->count > 0) {
        memcpy(grown, order->numbers, order->count * sizeof *grown);
    }
    base_free(order->numbers);
    order->numbers = grown;
    order->capacity = capacity;
    return 0;
}

int dictionary_order(struct dictionary *dictionary, uint32_t *ret_count)
{
    struct dictionary_order *order = &dictionary->order;
    uint32_t added = dictionary->count - (order->count - order->stale);
    struct sortable *room = NULL;
    if (added > 0) {
        int rc = make_room_in_order(order, dictionary->count);
        room = rc < 0 ? NULL : base_alloc((size_t)added * 2 * sizeof *room);
        if (room == NULL) {
            return -ENOMEM;
        }
    }
    drop_stale(dictionary);
    if (added > 0) {
        collect_new(dictionary, room, added);
        read_heads(dictionary, room, added);
        merge_new(dictionary, sort_all(dictionary, room, added), added);
        base_free(room);
    }
    order->recent_count = 0;
    WEIR_ASSERT(order->count == dictionary->count);
    *ret_count = order->count;
    return 0;
}

/* ---- looking into it ---- */

uint32_t dictionary_ordered(const struct dictionary *dictionary, uint32_t position)
{
    WEIR_ASSERT(position < dictionary->order.count && dictionary->order.stale == 0);
    return dictionary->order.numbers[position];
}

uint32_t dictionary_lower_bound(const struct dictionary *dictionary, const void *data, size_t size)
{
    return search(dictionary, dictionary->order.count, (struct weir_bytes){data, size});
}

uint32_t dictionary_prefix_end(const struct dictionary *dictionary, const void *data, size_t size)
{
    uint32_t low = 0;
    uint32_t high = dictionary->order.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct weir_bytes text =
            dictionary_entry_text(dictionary, dictionary->order.numbers[middle]);
        size_t compared = text.size < size ? text.size : size;
        int order = compared > 0 ? memcmp(text.data, data, compared) : 0;
        if (order <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
