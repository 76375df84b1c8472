/*
 * Full text driven by events, and what it finds as lines.
 */
#include "text_support.h"

#include <errno.h>

static int extract_fields(void *context, struct weir_bytes key, struct weir_bytes value,
                          weir_emit_fn emit, void *emit_context)
{
    const char *at = value.data;
    const char *end = at + value.size;
    uint32_t field = 0;
    int rc = 0;
    (void)context;
    (void)key;
    if (value.size > 0 && *at == '#') {
        return -EBADMSG;
    }
    while (at < end && rc == 0) {
        const char *stop = memchr(at, '|', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        rc = emit(emit_context, field++, (struct weir_bytes){at, (size_t)(stop - at)});
        at = stop + 1;
    }
    /* What was emitted of no document does not count. */
    return rc == 0 && value.size > 0 && *(const char *)value.data == '!' ? 1 : rc;
}

struct weir_text *make_text(const char *stemmer)
{
    struct weir_text_options options = WEIR_TEXT_OPTIONS_INIT;
    struct weir_text *text;
    options.stemmer = stemmer;
    options.extract = extract_fields;
    assert_int_equal(weir_text_create(&options, &text), 0);
    return text;
}

int change(struct weir_text *text, weir_table table, const char *key, const char *before,
           const char *after)
{
    static weir_lsn lsn;
    struct weir_event event = {.lsn = ++lsn, .table = table, .key = bytes_of(key)};
    event.operation = before == NULL ? WEIR_INSERT : after == NULL ? WEIR_REMOVE : WEIR_UPDATE;
    if (before != NULL) {
        event.before = bytes_of(before);
    }
    if (after != NULL) {
        event.after = bytes_of(after);
    }
    return weir_text_ops()->apply(text, &event);
}

static int add_found(void *context, weir_table table, struct weir_bytes key, double score)
{
    struct found *found = context;
    assert_true(found->count < FOUND_MAX && key.size < sizeof found->rows[0].key);
    memcpy(found->rows[found->count].key, key.data, key.size);
    found->rows[found->count].key[key.size] = 0;
    found->rows[found->count].table = table;
    found->rows[found->count++].score = score;
    return 0;
}

int find(struct weir_text *text, struct weir_text_query query, const char *terms,
         struct found *ret_found)
{
    ret_found->count = 0;
    query.terms = bytes_of(terms);
    return weir_text_find(text, &query, add_found, ret_found);
}

static const char *lines_of(struct weir_text *text, struct weir_text_query query, const char *terms)
{
    static char lines[1 << 16];
    static struct found found;
    size_t used = 0;
    assert_int_equal(find(text, query, terms, &found), 0);
    lines[0] = 0;
    for (uint32_t i = 0; i < found.count; i++) {
        used += (size_t)snprintf(lines + used, sizeof lines - used, "%s%u/%s", i > 0 ? " " : "",
                                 (unsigned)found.rows[i].table, found.rows[i].key);
    }
    return lines;
}

const char *all_of(struct weir_text *text, const char *terms)
{
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    return lines_of(text, query, terms);
}

const char *any_of(struct weir_text *text, const char *terms)
{
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    query.any = true;
    return lines_of(text, query, terms);
}

const char *best_of(struct weir_text *text, const char *terms)
{
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    query.any = true;
    query.ranked = true;
    return lines_of(text, query, terms);
}

struct weir_text_status status_of(struct weir_text *text)
{
    struct weir_text_status status = WEIR_TEXT_STATUS_INIT;
    assert_int_equal(weir_text_stat(text, &status), 0);
    return status;
}

void expect_equal(struct weir_text *left, struct weir_text *right)
{
    uint8_t left_print[16], right_print[16];
    struct weir_text_status left_status = status_of(left);
    struct weir_text_status right_status = status_of(right);
    assert_int_equal(left_status.rows, right_status.rows);
    assert_int_equal(left_status.words, right_status.words);
    assert_int_equal(left_status.tokens, right_status.tokens);
    assert_int_equal(left_status.postings, right_status.postings);
    assert_int_equal(left_status.skipped_documents, right_status.skipped_documents);
    weir_text_ops()->fingerprint(left, left_print);
    weir_text_ops()->fingerprint(right, right_print);
    assert_memory_equal(left_print, right_print, 16);
}

int save_text(struct weir_text *text, struct memory_state *ret_state)
{
    *ret_state = (struct memory_state){0};
    return weir_text_ops()->save(text, memory_state_writer(ret_state));
}

int load_text(struct weir_text *text, const struct memory_state *state)
{
    struct weir_state_reader *reader = memory_state_reader(state);
    weir_text_ops()->reset(text);
    int rc = weir_text_ops()->load(text, reader);
    weir_state_close(reader);
    return rc;
}
