/*
 * What is in the index, entry by entry: the fingerprint, and names for people.
 *
 * The fingerprint is made on demand, from postings and dictionaries: were it kept up to date with
 * each event, it would say what should be in them and not what is.
 *
 * Failure: entries() needs room for the text of one entry: -ENOMEM.
 * Invariant: the fingerprint does not depend on numbers, nor on the order in which rows came.
 */
#include "derived/index.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- hashes ---- */

struct entry_parts {
    XXH128_canonical_t value, row;
};

static void hash_text(const struct dictionary *dictionary, uint32_t number, XXH128_canonical_t *to)
{
    struct weir_bytes text = dictionary_text(dictionary, number);
    XXH128_canonicalFromHash(to, XXH3_128bits(text.data, text.size));
}

static XXH128_hash_t hash_entry(const struct entry_parts *parts)
{
    return XXH3_128bits(parts, sizeof *parts);
}

static void add_hash(XXH128_hash_t *sum, XXH128_hash_t hash)
{
    sum->low64 += hash.low64;
    sum->high64 += hash.high64 + (sum->low64 < hash.low64);
}

static void add_value(const struct weir_index *index, uint32_t value, XXH128_hash_t *sum)
{
    struct entry_parts parts;
    struct posting_walk walk;
    hash_text(&index->values, value, &parts.value);
    for (bool more = posting_first(&index->slab, &index->postings[value], &walk); more;
         more = posting_next(&walk)) {
        hash_text(&index->rows, walk.ordinal, &parts.row);
        add_hash(sum, hash_entry(&parts));
    }
}

void index_fingerprint(void *self, uint8_t ret_fingerprint[16])
{
    const struct weir_index *index = self;
    XXH128_hash_t sum = {0, 0};
    for (uint32_t value = 0; value < dictionary_end(&index->values); value++) {
        if (dictionary_has(&index->values, value)) {
            add_value(index, value, &sum);
        }
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, sum);
    memcpy(ret_fingerprint, canonical.digest, 16);
}

/* ---- names for people ---- */

/* A byte takes 4 at most, as \xff. */
#define TEXT_ROOM (4 * (INDEX_TUPLE_MAX + ROW_NAME_MAX) + 64)

/* Printable ones as they are, but for those that the text is put together with. */
static char *print_bytes(char *to, struct weir_bytes bytes)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *from = bytes.data;
    for (size_t index = 0; index < bytes.size; index++) {
        uint8_t byte = from[index];
        if (byte < 0x20 || byte == 0x7f) {
            *to++ = '\\';
            *to++ = 'x';
            *to++ = hex[byte >> 4];
            *to++ = hex[byte & 15];
            continue;
        }
        if (byte == '\\' || byte == '|' || byte == '>') {
            *to++ = '\\';
        }
        *to++ = (char)byte;
    }
    return to;
}

/* "news -> apple"; "news | en -> apple" of two fields; "news -> [3] apple" in table 3. */
static size_t print_entry(char *text, const struct weir_index *index,
                          const struct weir_bytes *fields, weir_table table, struct weir_bytes key)
{
    char *to = text;
    for (uint32_t field = 0; field < index->fields; field++) {
        if (field > 0) {
            memcpy(to, " | ", 3);
            to += 3;
        }
        to = print_bytes(to, fields[field]);
    }
    memcpy(to, " -> ", 4);
    to += 4;
    if (table != 0) {
        to += sprintf(to, "[%lu] ", (unsigned long)table);
    } else if (key.size > 0 && *(const char *)key.data == '[') {
        *to++ = '\\'; /* no table's number */
    }
    return (size_t)(print_bytes(to, key) - text);
}

/* What is borrowed while one walks. */
struct lister {
    struct weir_index *index;
    weir_system_entry_fn fn;
    void *context;
    char *text;
    uint8_t *room;
};

static int list_row(const struct lister *lister, const struct weir_bytes *fields,
                    struct entry_parts *parts, uint32_t row)
{
    struct weir_system_entry entry = {0};
    XXH128_canonical_t hash;
    hash_text(&lister->index->rows, row, &parts->row);
    XXH128_canonicalFromHash(&hash, hash_entry(parts));
    memcpy(entry.hash, hash.digest, sizeof entry.hash);
    entry.key = rows_key(&lister->index->rows, row, &entry.table);
    entry.text.data = lister->text;
    entry.text.size = print_entry(lister->text, lister->index, fields, entry.table, entry.key);
    return lister->fn(lister->context, &entry);
}

static int list_value(const struct lister *lister, uint32_t value)
{
    struct weir_bytes fields[WEIR_INDEX_FIELDS_MAX];
    struct entry_parts parts;
    struct posting_walk walk;
    struct weir_index *index = lister->index;
    hash_text(&index->values, value, &parts.value);
    (void)index_tuple_split(dictionary_text(&index->values, value), index->fields, lister->room,
                            fields);
    int rc = 0;
    bool more = posting_first(&index->slab, &index->postings[value], &walk);
    for (; rc == 0 && more; more = posting_next(&walk)) {
        rc = list_row(lister, fields, &parts, walk.ordinal);
    }
    return rc;
}

int index_entries(void *self, weir_system_entry_fn fn, void *context)
{
    struct weir_index *index = self;
    struct lister lister = {.index = index,
                            .fn = fn,
                            .context = context,
                            .text = base_alloc(TEXT_ROOM),
                            .room = base_alloc(INDEX_TUPLE_MAX)};
    int rc = lister.text == NULL || lister.room == NULL ? -ENOMEM : 0;
    for (uint32_t value = 0; rc == 0 && value < dictionary_end(&index->values); value++) {
        if (dictionary_has(&index->values, value)) {
            rc = list_value(&lister, value);
        }
    }
    base_free(lister.text);
    base_free(lister.room);
    return rc;
}
