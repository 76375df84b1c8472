/*
 * The fingerprint of a view, and the entries that it is the sum of: one for each group, and one for
 * the rows that are skipped.
 *
 * All that answers depend on, now or after any event, is in it: of a group its name, count, number
 * of numbers and sum; with min or max each number with its count; with list each row with its
 * value. It is read from what is stored, not kept beside it: a mistake in either shows.
 *
 * Not in it: the LSN that touched a group last. A view that was built from a state has seen fewer
 * events than one that lived through them.
 *
 * Invariants: sums of hashes, so no order counts; a view without rows has the fingerprint 0.
 */
#include "derived/view.h"

#include "base/le.h"
#include "base/text.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Modulo 2^128. */
struct sum {
    decimal_magnitude value;
};

struct sum_bytes {
    struct le64 low, high;
};

static void add_hash(struct sum *sum, const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    sum->value += (decimal_magnitude)hash.high64 << 64 | hash.low64;
}

static void store(struct sum sum, struct sum_bytes *bytes)
{
    le64_store(&bytes->low, (uint64_t)sum.value);
    le64_store(&bytes->high, (uint64_t)(sum.value >> 64));
}

static void store_hash(struct weir_bytes text, struct sum_bytes *bytes)
{
    struct sum sum = {0};
    add_hash(&sum, text.data, text.size);
    store(sum, bytes);
}

static struct sum hash_numbers(const struct weir_materialized_view *view, uint32_t root)
{
    struct sum sum = {0};
    struct view_number entry;
    for (bool more = view_numbers_first(&view->slab, root, &entry); more;
         more = view_numbers_above(&view->slab, root, entry.number, &entry)) {
        struct {
            struct sum_bytes number;
            struct le64 count;
        } bytes;
        store((struct sum){(decimal_magnitude)entry.number}, &bytes.number);
        le64_store(&bytes.count, entry.count);
        add_hash(&sum, &bytes, sizeof bytes);
    }
    return sum;
}

static struct sum hash_rows(const struct weir_materialized_view *view,
                            const struct posting *posting)
{
    struct sum sum = {0};
    struct posting_walk walk;
    for (bool more = posting_first(&view->slab, posting, &walk); more; more = posting_next(&walk)) {
        struct {
            struct sum_bytes name, text;
        } bytes;
        store_hash(dictionary_text(&view->rows, walk.ordinal), &bytes.name);
        store_hash(view_text_get(view, walk.ordinal), &bytes.text);
        add_hash(&sum, &bytes, sizeof bytes);
    }
    return sum;
}

static struct sum hash_group(const struct weir_materialized_view *view, uint32_t number)
{
    const struct view_group *group = &view->group[number];
    struct sum sum = {0};
    struct {
        struct sum_bytes name, sum, ordered, rows;
        struct le64 count, numbers;
    } bytes;
    store_hash(dictionary_text(&view->groups, number), &bytes.name);
    store((struct sum){(decimal_magnitude)group->sum}, &bytes.sum);
    store(hash_numbers(view, group->numbers_root), &bytes.ordered);
    store(hash_rows(view, &group->rows), &bytes.rows);
    le64_store(&bytes.count, group->count);
    le64_store(&bytes.numbers, group->numbers);
    add_hash(&sum, &bytes, sizeof bytes);
    return sum;
}

static struct sum hash_skipped(const struct weir_materialized_view *view)
{
    struct sum sum = {0};
    struct le64 bytes[3];
    le64_store(&bytes[0], view->skipped_documents);
    le64_store(&bytes[1], view->skipped_numbers);
    le64_store(&bytes[2], view->skipped_groups);
    if (view->skipped_documents + view->skipped_numbers + view->skipped_groups > 0) {
        add_hash(&sum, bytes, sizeof bytes);
    }
    return sum;
}

_Static_assert(sizeof(struct sum_bytes) == 16, "a fingerprint");

void view_fingerprint(void *self, uint8_t ret_fingerprint[16])
{
    const struct weir_materialized_view *view = self;
    struct sum sum = hash_skipped(view);
    struct sum_bytes bytes;
    for (uint32_t number = 0; number < dictionary_end(&view->groups); number++) {
        if (dictionary_has(&view->groups, number)) {
            sum.value += hash_group(view, number).value;
        }
    }
    store(sum, &bytes);
    memcpy(ret_fingerprint, &bytes, sizeof bytes);
}

static int give_entry(struct weir_bytes text, struct sum hash, weir_lsn lsn,
                      weir_system_entry_fn fn, void *context)
{
    struct weir_system_entry entry = {.text = text, .lsn = lsn};
    struct sum_bytes bytes;
    store(hash, &bytes);
    memcpy(entry.hash, &bytes, sizeof bytes);
    return fn(context, &entry);
}

int view_entries(void *self, weir_system_entry_fn fn, void *context)
{
    static const char prefix[] = "group ";
    const struct weir_materialized_view *view = self;
    char text[sizeof prefix + WEIR_VIEW_GROUP_MAX];
    struct sum skipped = hash_skipped(view);
    int rc = 0;
    if (skipped.value != 0) {
        rc = give_entry(WEIR_TEXT("skipped rows"), skipped, WEIR_LSN_NONE, fn, context);
    }
    for (uint32_t number = 0; rc == 0 && number < dictionary_end(&view->groups); number++) {
        if (!dictionary_has(&view->groups, number)) {
            continue;
        }
        struct weir_bytes name = dictionary_text(&view->groups, number);
        memcpy(text, prefix, sizeof prefix - 1);
        memcpy(text + sizeof prefix - 1, name.data, name.size);
        rc = give_entry((struct weir_bytes){text, sizeof prefix - 1 + name.size},
                        hash_group(view, number), view->group[number].lsn, fn, context);
    }
    return rc;
}
