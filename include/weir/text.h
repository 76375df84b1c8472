/* Full text: from words to the rows that have them.
 *
 *     struct weir_text_options options = WEIR_TEXT_OPTIONS_INIT;
 *     options.extract = weir_json_extract;
 *     options.extract_context = fields;                     // {"description"}
 *     weir_text_create(&options, &text);
 *     system.ops = weir_text_ops();
 *     system.self = text;
 *
 *     struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
 *     query.terms = WEIR_TEXT("mail serv*");                // both, in any order
 *     weir_text_query(host, "descriptions", text, &query, &rows);
 *     while (weir_rows_next(rows, &row) == 1) ...
 *     weir_rows_close(rows);
 *
 * Words. A word is a maximal run of letters, digits, marks and '_': of the general categories Lu,
 * Ll, Lt, Lm, Lo, Nd, Mn, Mc and Me of Unicode (a superscript or a Roman numeral is none of them).
 * It counts in its folded form: full case folding, in normalization form C, so that two words which
 * are canonically equivalent, or differ in case alone, are one word (a sharp s is "ss"; but a full-
 * width letter is another one, and an accent is not dropped). A byte that is not part of valid
 * UTF-8 ends a word and belongs to none. Of a word's folded form only the first WEIR_TEXT_WORD_MAX
 * bytes count, whole characters. Scripts that put nothing between their words (Chinese, Thai) have
 * one word up to the next sign. The values of all fields of a row are one text; a word ends where
 * its value ends.
 *
 * Stems. With a stemmer (Snowball, of one language) each word of a row, and each term without '*',
 * is brought to its stem; without one nothing is. Stems are by rule: some are no words.
 *
 * Terms are the words of a query's text, found in it as in any other text: "mail-server" is two,
 * and "mail mail" is one. A '*' right behind a word makes it stand for all words that begin with
 * it, itself included; with a stemmer, for all such stems. Without any term there is no row.
 *
 * Order of what is found: table, then key. Ranked: by score, best first, equal ones by table, then
 * key. The score is BM25 with k1 = 1.2 and b = 0.75, a sum over the terms of
 *
 *     ln(1 + (N - n + 0.5) / (n + 0.5)) * f * (k1 + 1) / (f + k1 * (1 - b + b * l / L))
 *
 * N: rows with a word at all; n: rows with the term; f: how often it is in this one; l: how many
 * words this one has; L: the mean of l. A term with '*' counts as one word that is where any of its
 * words is.
 *
 * It is maintained from before-images alone. A text that starts in the middle of a log knows a row
 * from its first event on. A state that was saved with another version of Unicode or another
 * stemmer is not loaded: it is built again.
 *
 * Threads: one at a time per text. A host calls it, so look into it between weir_host_read_begin()
 * and weir_host_read_end(); weir_text_query() does that itself.
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
    const char *stemmer; /* NULL: none; a language of libstemmer ("english"); copied */
    weir_extract_fn extract;
    void *extract_context;
};

#define WEIR_TEXT_OPTIONS_INIT WEIR_SIZED_INIT(weir_text_options)

/* Makes a text without rows.
 *
 * @param options   copied; the extractor's context stays the caller's, and valid
 * @param ret_text  weir_text_free() gives it back
 * Returns: 0; -EINVAL (no extractor, no such stemmer); -ENOMEM.
 * Durability: none; a host saves it.
 * Threads: any.
 * Blocks: never.
 * Allocates: the text, about 120 KiB.
 */
WEIR_EXPORT int weir_text_create(const struct weir_text_options *options,
                                 struct weir_text **ret_text);

/* Frees a text: detach it from its host first.
 *
 * @param text  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: one.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_text_free(struct weir_text *text);

/* Gives what a host calls; self is a struct weir_text. apply fails, with nothing changed, with what
 * the extractor returns, -ENOMEM, and -E2BIG (a row of more than 2^30 words). Its entries are named
 * "word -> key", with "table N: " in front of it in other tables than the default one.
 *
 * Returns: a constant.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT const struct weir_system_ops *weir_text_ops(void);

struct weir_text_query {
    size_t size;             /* sizeof(struct weir_text_query) */
    struct weir_bytes terms; /* words; one that ends in '*' stands for all that begin with it */
    bool any;                /* rows with at least one; else with all of them */
    bool ranked;
    uint8_t reserved[6]; /* must be 0 */
    uint64_t limit;      /* so many of the first ones; 0 = all */
};

#define WEIR_TEXT_QUERY_INIT WEIR_SIZED_INIT(weir_text_query)

/* What was found. score is 0 when it is not ranked. Other than 0: stop, and return it. */
typedef int (*weir_text_fn)(void *context, weir_table table, struct weir_bytes key, double score);

/* Calls fn for each key that matches, in the order that is stated above. Looks at the state as it
 * is: under weir_host_read_begin(), or when nothing is delivered.
 *
 * @param text     a text
 * @param query    what to find; its bytes are used during the call
 * @param fn       gets the keys, lent during its call; must not change the text
 * @param context  for fn
 * Returns: 0; -EINVAL; -E2BIG (more than WEIR_TEXT_TERMS_MAX different terms); -ENOMEM (before fn
 *   is called); other than 0 from fn.
 * Durability: none.
 * Threads: the text's.
 * Blocks: never.
 * Allocates: up to 40 bytes for each row that is found, until it returns.
 */
WEIR_EXPORT int weir_text_find(struct weir_text *text, const struct weir_text_query *query,
                               weir_text_fn fn, void *context);

/* Finds the rows themselves, as of the position that the text has; weir_rows_score() is the score.
 *
 * @param host      which has the text attached
 * @param name      under this name
 * @param text      the text
 * @param query     what to find; its bytes are used during the call
 * @param ret_rows  weir_rows_close() gives them back
 * Returns: 0; errors of weir_rows_open() and of weir_text_find().
 * Durability: rows that are durable.
 * Threads: any; the rows belong to one at a time.
 * Blocks: until the delivery in progress is done.
 * Allocates: as weir_text_find() and weir_rows_open().
 */
WEIR_EXPORT int weir_text_query(struct weir_host *host, const char *name, struct weir_text *text,
                                const struct weir_text_query *query, struct weir_rows **ret_rows);

struct weir_text_status {
    size_t size;                /* sizeof(struct weir_text_status) */
    uint64_t rows;              /* with at least one word */
    uint64_t words;             /* different ones */
    uint64_t tokens;            /* words of all rows, each time that they come */
    uint64_t postings;          /* pairs of word and row */
    uint64_t skipped_documents; /* rows that are no document, now */
    uint64_t bytes;             /* of memory */
};

#define WEIR_TEXT_STATUS_INIT WEIR_SIZED_INIT(weir_text_status)

/* Counts what there is. Takes a few ns for each different word.
 *
 * @param text        a text
 * @param ret_status  its size is set
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: the text's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_text_stat(struct weir_text *text, struct weir_text_status *ret_status);

#ifdef __cplusplus
}
#endif
#endif
