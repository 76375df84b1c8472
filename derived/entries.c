/*
 * Entries: what a system consists of, one by one, to say in which of them two differ.
 *
 * Happy path: copy those of both, sort each by text, walk through both at once.
 * Failure modes: no memory: -ENOMEM, nothing is compared.
 * Invariants: an entry is one allocation; a system's texts are unique, so that equal texts meet.
 */
#include "derived/entries.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int copy_entry(void *context, const struct weir_system_entry *entry)
{
    struct host_entries *entries = context;
    struct host_entry *copy = base_alloc(sizeof *copy + entry->text.size + entry->key.size);
    if (copy == NULL) {
        return -ENOMEM;
    }
    *copy = (struct host_entry){
        .next = entries->first,
        .lsn = entry->lsn,
        .text_size = entry->text.size,
        .key_size = entry->key.size,
        .table = entry->table,
    };
    memcpy(copy->hash, entry->hash, sizeof copy->hash);
    if (entry->text.size > 0) {
        memcpy(copy->bytes, entry->text.data, entry->text.size);
    }
    if (entry->key.size > 0) {
        memcpy(copy->bytes + entry->text.size, entry->key.data, entry->key.size);
    }
    entries->first = copy;
    entries->count++;
    return 0;
}

static int compare_texts(const struct host_entry *one, const struct host_entry *other)
{
    size_t size = one->text_size < other->text_size ? one->text_size : other->text_size;
    int order = memcmp(one->bytes, other->bytes, size);
    return order != 0 ? order
                      : (one->text_size > other->text_size) - (one->text_size < other->text_size);
}

static int by_text(const void *one, const void *other)
{
    return compare_texts(*(struct host_entry *const *)one, *(struct host_entry *const *)other);
}

int host_entries_collect(const struct weir_system_ops *ops, void *self,
                         struct host_entries *ret_entries)
{
    *ret_entries = (struct host_entries){0};
    int rc = ops->entries != NULL ? ops->entries(self, copy_entry, ret_entries) : 0;
    if (rc != 0) {
        return rc;
    }
    ret_entries->sorted = base_alloc_array(ret_entries->count, sizeof(struct host_entry *));
    if (ret_entries->sorted == NULL) {
        return -ENOMEM;
    }
    size_t index = 0;
    for (struct host_entry *entry = ret_entries->first; entry != NULL; entry = entry->next) {
        ret_entries->sorted[index++] = entry;
    }
    qsort(ret_entries->sorted, ret_entries->count, sizeof(struct host_entry *), by_text);
    return 0;
}

void host_entries_free(struct host_entries *entries)
{
    while (entries->first != NULL) {
        struct host_entry *entry = entries->first;
        entries->first = entry->next;
        base_free(entry);
    }
    base_free(entries->sorted);
    *entries = (struct host_entries){0};
}

int host_entries_compare(const struct host_entries *live, const struct host_entries *rebuilt,
                         host_entries_fn fn, void *context)
{
    size_t i = 0, j = 0;
    int rc = 0;
    while (rc == 0 && (i < live->count || j < rebuilt->count)) {
        const struct host_entry *left = i < live->count ? live->sorted[i] : NULL;
        const struct host_entry *right = j < rebuilt->count ? rebuilt->sorted[j] : NULL;
        int order = left == NULL ? 1 : (right == NULL ? -1 : compare_texts(left, right));
        if (order < 0) {
            rc = fn(context, left, NULL);
        } else if (order > 0) {
            rc = fn(context, NULL, right);
        } else if (memcmp(left->hash, right->hash, sizeof left->hash) != 0) {
            rc = fn(context, left, right);
        }
        i += order <= 0;
        j += order >= 0;
    }
    return rc;
}
