/* Documents by the number: words by inversion of Zipf's distribution over a table. */
#include "bench/derived/documents.h"

#include "base/alloc.h"
#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VOCABULARY 50000u
#define STEPS 65536u /* of the table */
#define WORDS 24
#define SECTIONS 50
#define DOCUMENT_BYTES_MAX 512

/* Which word stands at which part of the distribution: a word of rank r has a share of 1 / r. */
static uint32_t *make_table(void)
{
    uint32_t *table = base_alloc(STEPS * sizeof *table);
    double all = 0, sum = 0;
    if (table == NULL) {
        return NULL;
    }
    for (uint32_t rank = 1; rank <= VOCABULARY; rank++) {
        all += 1.0 / rank;
    }
    uint32_t step = 0;
    for (uint32_t rank = 1; rank <= VOCABULARY; rank++) {
        sum += 1.0 / rank;
        while (step < STEPS && (double)step < sum / all * STEPS) {
            table[step++] = rank;
        }
    }
    while (step < STEPS) {
        table[step++] = VOCABULARY;
    }
    return table;
}

/* Frequent words are short. */
static size_t put_word(char *at, uint32_t rank)
{
    size_t size = 0;
    uint32_t rest = rank * 2654435761u;
    size_t length = 2u + (rank > 26 ? 1u : 0u) + (rank > 500 ? 2u : 0u) + rest % 4;
    for (uint32_t digits = rank; digits > 0; digits /= 26) {
        at[size++] = (char)('a' + digits % 26);
    }
    while (size < length) {
        at[size++] = (char)('a' + rest % 26);
        rest /= 7;
    }
    return size;
}

static size_t make_document(char *at, uint64_t number, const uint32_t *table,
                            struct base_prng *prng, struct documents *documents)
{
    size_t key = (size_t)sprintf(at, "doc%09llu", (unsigned long long)number);
    documents->keys[number] = (struct weir_bytes){at, key};
    char *value = at + key;
    unsigned section = (unsigned)(base_prng_below(prng, SECTIONS));
    size_t used = (size_t)sprintf(value, "{\"section\":\"");
    documents->sections[number].data = value + used;
    documents->sections[number].size = (size_t)sprintf(value + used, "section%02u", section);
    used += documents->sections[number].size;
    used += (size_t)sprintf(value + used, "\",\"size\":%u,\"summary\":\"",
                            (unsigned)(base_prng_below(prng, 100000)));
    for (int word = 0; word < WORDS; word++) {
        if (word > 0) {
            value[used++] = ' ';
        }
        used += put_word(value + used, table[base_prng_below(prng, STEPS)]);
    }
    used += (size_t)sprintf(value + used, "\"}");
    documents->values[number] = (struct weir_bytes){value, used};
    return key + used;
}

int documents_create(struct documents *documents, uint64_t count)
{
    struct base_prng prng;
    uint32_t *table = make_table();
    *documents = (struct documents){.count = count, .text_bytes = count * DOCUMENT_BYTES_MAX};
    documents->keys = base_alloc_array(count, sizeof *documents->keys);
    documents->values = base_alloc_array(count, sizeof *documents->values);
    documents->sections = base_alloc_array(count, sizeof *documents->sections);
    documents->text = base_pages_alloc(documents->text_bytes, BASE_PAGES_RESERVE);
    if (table == NULL || documents->keys == NULL || documents->values == NULL ||
        documents->sections == NULL || documents->text == NULL) {
        base_free(table);
        documents_destroy(documents);
        return -ENOMEM;
    }
    base_prng_seed(&prng, 1);
    char *at = documents->text;
    for (uint64_t number = 0; number < count; number++) {
        size_t size = make_document(at, number, table, &prng, documents);
        documents->bytes += size;
        at += size;
    }
    base_free(table);
    return 0;
}

void documents_destroy(struct documents *documents)
{
    base_free(documents->keys);
    base_free(documents->values);
    base_free(documents->sections);
    if (documents->text != NULL) {
        base_pages_free(documents->text, documents->text_bytes);
    }
    *documents = (struct documents){0};
}
