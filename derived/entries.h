/*
 * The entries of two systems, copied, sorted and compared.
 */
#ifndef DERIVED_ENTRIES_H
#define DERIVED_ENTRIES_H

#include <weir/system.h>

struct host_entry {
    struct host_entry *next;
    weir_lsn lsn;
    size_t text_size, key_size;
    weir_table table;
    uint8_t hash[16];
    uint8_t bytes[]; /* the text, then the key */
};

struct host_entries {
    struct host_entry *first; /* while they are collected: the last one */
    size_t count;
    struct host_entry **sorted; /* by text */
};

/* Copies all entries of a system: 0; -ENOMEM; what its entries() returned. host_entries_free()
 * afterwards, whatever it returned. */
int host_entries_collect(const struct weir_system_ops *ops, void *self,
                         struct host_entries *ret_entries);
void host_entries_free(struct host_entries *entries);

typedef int (*host_entries_fn)(void *context, const struct host_entry *live,
                               const struct host_entry *rebuilt);

/* Calls fn for each text that is on one side only (the other is NULL), or on both with other
 * contents, in order of text: 0, or what fn returned. */
int host_entries_compare(const struct host_entries *live, const struct host_entries *rebuilt,
                         host_entries_fn fn, void *context);

#endif
