/* Full text: from words to the rows that have them.
 *
 *     options.extract = weir_json_extract;
 *     options.extract_context = fields;                // {"description"}
 *     weir_text_create(&options, &text);
 *     ...
 *     query.terms = WEIR_TEXT("mail serv*");           // all of them, in any order
 *     weir_text_query(host, "descriptions", text, &query, &rows);
 *
 * A word is a maximal run of letters, digits, marks and '_' (by Unicode category), case-folded.
 * With stemming, words are also brought to their stem (Snowball); without, nothing is. Bytes that
 * are not UTF-8 end a word and belong to none. A word longer than WEIR_TEXT_WORD_MAX bytes is cut
 * there. The fields of a row are one text. Terms that hold no word at all find nothing.
 *
 * Order of results: table, then key; ranked: BM25 (k1 = 1.2, b = 0.75), best first, equal ones in
 * order of table and key.
 */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <weir/extract.h>
#include <weir/rows.h>
#include <weir/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_text;

#define WEIR_TEXT_WORD_MAX 255
#define WEIR_TEXT_TERMS_MAX 64

struct weir_text_options {
    size_t size;         /* sizeof(struct weir_text_options) */
    const char *stemmer; /* NULL: none; a language of libstemmer ("english") */
    weir_extract_fn extract;
    void *extract_context;
};

#define WEIR_TEXT_OPTIONS_INIT WEIR_SIZED_INIT(weir_text_options)

/* 0; -EINVAL (no such stemmer, no extractor); -ENOMEM. */
int weir_text_create(const struct weir_text_options *options, struct weir_text **ret_text);
void weir_text_free(struct weir_text *text);
const struct weir_system_ops *weir_text_ops(void);

struct weir_text_query {
    size_t size;             /* sizeof(struct weir_text_query) */
    struct weir_bytes terms; /* words; one that ends in '*' stands for all that begin with it */
    bool any;                /* rows with at least one; else with all of them */
    bool ranked;
    uint8_t reserved[6];
    uint64_t limit; /* 0 = all */
};

#define WEIR_TEXT_QUERY_INIT WEIR_SIZED_INIT(weir_text_query)

typedef int (*weir_text_fn)(void *context, weir_table table, struct weir_bytes key, double score);

/* Under weir_host_read_begin(), or when nothing is delivered. -E2BIG: more than
 * WEIR_TEXT_TERMS_MAX terms. */
int weir_text_find(struct weir_text *text, const struct weir_text_query *query, weir_text_fn fn,
                   void *context);
/* The rows themselves, as of one LSN. */
int weir_text_query(struct weir_host *host, const char *name, struct weir_text *text,
                    const struct weir_text_query *query, struct weir_rows **ret_rows);

struct weir_text_status {
    size_t size; /* sizeof(struct weir_text_status) */
    uint64_t rows, words, tokens, postings;
    uint64_t skipped_documents;
    uint64_t bytes;
};

#define WEIR_TEXT_STATUS_INIT WEIR_SIZED_INIT(weir_text_status)

int weir_text_stat(struct weir_text *text, struct weir_text_status *ret_status);

#ifdef __cplusplus
}
#endif
#endif
