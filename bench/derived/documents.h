/*
 * The documents that every system under test gets: JSON of about 200 bytes with a section (one of
 * 50), a number, and words whose frequencies fall as those of a language do (Zipf), of a vocabulary
 * of 50,000. The same on every call.
 */
#ifndef BENCH_DERIVED_DOCUMENTS_H
#define BENCH_DERIVED_DOCUMENTS_H

#include <weir/engine.h>

struct documents {
    struct weir_bytes *keys, *values, *sections;
    uint64_t count;
    uint64_t bytes; /* of keys and values */
    char *text;     /* what they point into */
    size_t text_bytes;
};

/* 0 or -ENOMEM. */
int documents_create(struct documents *documents, uint64_t count);
void documents_destroy(struct documents *documents);

#endif
