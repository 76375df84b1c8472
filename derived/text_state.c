/*
 * The full text as a file, as a fingerprint, as a list of entries.
 *
 *     version of Unicode, stemmer              both as byte strings
 *     rows that are no document, end of the ordinals, words
 *     for each ordinal                         table and key (empty: not in use), LSN, length
 *     for each word                            the word, its rows, how many slices, each slice
 *
 * Happy path: saved as it lies in memory; loaded in the same order, so that ordinals stay. Tokens,
 * postings and signatures are not saved: they are counted again from the postings.
 *
 * Failure modes: what is read may lie. A word that is none or comes twice, a row that comes twice,
 * an ordinal without row, a slice with a row that the word does not have, a row whose length is not
 * the sum of its frequencies, another version of Unicode or another stemmer: WEIR_E_STATE, and the
 * caller resets. Nothing is allocated on the word of a number that more bytes would have to follow.
 *
 * Invariants: equal states have equal fingerprints, whatever their ordinals and numbers are.
 */
#include "derived/text.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/le.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NAME_MAX_BYTES 63

static struct weir_bytes text_of(const char *name)
{
    return (struct weir_bytes){.data = name, .size = strlen(name)};
}

/* ---- save ---- */

static void encode_row(struct encoder *encoder, const struct weir_text *text, uint32_t ordinal)
{
    if (!dictionary_has(&text->rows, ordinal)) {
        encode_bytes(encoder, (struct weir_bytes){0});
        return;
    }
    encode_bytes(encoder, dictionary_text(&text->rows, ordinal));
    encode_number(encoder, text->row_at[ordinal].lsn);
    encode_number(encoder, text->row_at[ordinal].length);
}

static void encode_word(struct encoder *encoder, const struct weir_text *text, uint32_t number)
{
    const struct text_word *word = &text->word_at[number];
    const struct posting *slices = text_slices(text, word);
    uint32_t count = word->slice_count;
    while (count > 0 && posting_is_empty(&slices[count - 1])) {
        count--;
    }
    encode_bytes(encoder, dictionary_text(&text->names, number));
    posting_encode(&text->slab, &word->rows, encoder);
    encode_number(encoder, count);
    for (uint32_t slice = 0; slice < count; slice++) {
        posting_encode(&text->slab, &slices[slice], encoder);
    }
}

int text_save(void *self, struct weir_state_writer *writer)
{
    const struct weir_text *text = self;
    struct encoder *encoder = base_alloc(sizeof *encoder);
    if (encoder == NULL) {
        return -ENOMEM;
    }
    encoder_init(encoder, writer);
    encode_bytes(encoder, text_of(words_unicode()));
    encode_bytes(encoder, text_of(text->stemmer));
    encode_number(encoder, text->skipped_documents);
    uint32_t end = dictionary_end(&text->rows);
    encode_number(encoder, end);
    encode_number(encoder, dictionary_count(&text->names));
    for (uint32_t ordinal = 0; ordinal < end; ordinal++) {
        encode_row(encoder, text, ordinal);
    }
    for (uint32_t word = 0; word < dictionary_end(&text->names); word++) {
        if (dictionary_has(&text->names, word)) {
            encode_word(encoder, text, word);
        }
    }
    int rc = encoder_finish(encoder);
    base_free(encoder);
    return rc;
}

/* ---- load ---- */

struct loading {
    struct weir_text *text;
    struct decoder decoder;
    uint32_t end;      /* of the ordinals */
    uint32_t *lengths; /* of the rows, as the postings have it */
};

static int expect_name(struct decoder *decoder, const char *name)
{
    struct weir_bytes bytes;
    int rc = decode_bytes(decoder, NAME_MAX_BYTES, &bytes);
    if (rc < 0) {
        return rc;
    }
    bool equal = bytes.size == strlen(name) && memcmp(bytes.data, name, bytes.size) == 0;
    return equal ? 0 : WEIR_E_STATE;
}

/* An ordinal that is not in use has a name of its own until all are there: no row has 4 bytes. */
static void name_gap(uint32_t ordinal, struct le32 *ret_name)
{
    le32_store(ret_name, ordinal);
}

static int load_row(struct loading *loading, uint32_t ordinal)
{
    struct weir_text *text = loading->text;
    struct weir_bytes name;
    struct le32 gap;
    int rc = decode_bytes(&loading->decoder, ROW_NAME_MAX, &name);
    if (rc < 0) {
        return rc;
    }
    bool is_gap = name.size == 0;
    if (is_gap) {
        name_gap(ordinal, &gap);
        name = (struct weir_bytes){.data = &gap, .size = sizeof gap};
    } else if (name.size <= sizeof gap) {
        return WEIR_E_STATE;
    }
    uint32_t number;
    rc = rows_add_name(&text->rows, name, &number);
    if (rc <= 0) {
        return rc < 0 ? rc : WEIR_E_STATE;
    }
    WEIR_ASSERT(number == ordinal);
    rc = text_reserve_row(text, ordinal);
    if (rc < 0 || is_gap) {
        return rc;
    }
    uint64_t lsn, length;
    rc = decode_number(&loading->decoder, UINT64_MAX, &lsn);
    if (rc == 0) {
        rc = decode_number(&loading->decoder, TEXT_ROW_WORDS_MAX, &length);
    }
    if (rc < 0) {
        return rc;
    }
    text->row_at[ordinal] = (struct text_row){.lsn = lsn, .length = (uint32_t)length};
    return 0;
}

static int load_rows(struct loading *loading)
{
    struct weir_text *text = loading->text;
    int rc = 0;
    for (uint32_t ordinal = 0; ordinal < loading->end && rc == 0; ordinal++) {
        rc = load_row(loading, ordinal);
    }
    for (uint32_t ordinal = 0; ordinal < loading->end && rc == 0; ordinal++) {
        struct le32 gap;
        name_gap(ordinal, &gap);
        if (dictionary_text(&text->rows, ordinal).size == sizeof gap) {
            dictionary_remove(&text->rows, ordinal);
        }
    }
    return rc;
}

static int load_slices(struct loading *loading, struct text_word *word)
{
    struct weir_text *text = loading->text;
    uint64_t count;
    int rc = decode_number(&loading->decoder, TEXT_SLICES_MAX - 2, &count);
    if (rc < 0 || count == 0) {
        return rc;
    }
    uint32_t block;
    size_t size = count * sizeof(struct posting);
    rc = slab_alloc(&text->slab, size, &block);
    if (rc < 0) {
        return rc;
    }
    struct posting *slices = slab_at(&text->slab, block);
    memset(slices, 0, size);
    word->slices = block;
    word->slice_count = (uint32_t)count;
    for (uint64_t slice = 0; slice < count && rc == 0; slice++) {
        rc = posting_decode(&text->slab, &slices[slice], loading->end, &loading->decoder);
    }
    return rc;
}

static uint64_t count_slices(const struct weir_text *text, const struct text_word *word)
{
    const struct posting *slices = text_slices(text, word);
    uint64_t count = 0;
    for (uint32_t slice = 0; slice < word->slice_count; slice++) {
        count += posting_count(&text->slab, &slices[slice]);
    }
    return count;
}

/* Counts a word into its rows: they are there, and no slice has another one. */
static int count_word(struct loading *loading, uint32_t number, uint64_t hash)
{
    struct weir_text *text = loading->text;
    const struct text_word *word = &text->word_at[number];
    struct posting_walk walk;
    uint64_t in_slices = 0;
    bool more = posting_first(&text->slab, &word->rows, &walk);
    if (!more) {
        return WEIR_E_STATE;
    }
    for (; more; more = posting_next(&walk)) {
        uint32_t ordinal = walk.ordinal;
        if (!dictionary_has(&text->rows, ordinal)) {
            return WEIR_E_STATE;
        }
        uint32_t frequency = word->slice_count > 0 ? text_frequency(text, number, ordinal) : 1;
        if (frequency > TEXT_ROW_WORDS_MAX - loading->lengths[ordinal]) {
            return WEIR_E_STATE;
        }
        in_slices += (uint64_t)__builtin_popcount(frequency - 1);
        loading->lengths[ordinal] += frequency;
        text->row_at[ordinal].signature += document_sign(hash, frequency);
    }
    text->postings += posting_count(&text->slab, &word->rows);
    return in_slices == count_slices(text, word) ? 0 : WEIR_E_STATE;
}

static bool is_word(struct words *words, struct weir_bytes name)
{
    uint8_t word[WORDS_ROOM];
    struct words_text rest = {.at = name.data, .end = (const uint8_t *)name.data + name.size};
    return name.size > 0 && words_next(words, &rest, word) > 0 && rest.at == rest.end;
}

static int load_word(struct loading *loading)
{
    struct weir_text *text = loading->text;
    struct weir_bytes name;
    int rc = decode_bytes(&loading->decoder, WEIR_TEXT_WORD_MAX, &name);
    if (rc < 0) {
        return rc;
    }
    if (!is_word(text->words, name)) {
        return WEIR_E_STATE;
    }
    uint32_t number;
    uint64_t hash = dictionary_hash(name.data, name.size);
    rc = dictionary_add_hashed(&text->names, hash, name.data, name.size, &number);
    if (rc <= 0) {
        return rc < 0 ? rc : WEIR_E_STATE;
    }
    rc = text_reserve_word(text, number);
    if (rc < 0) {
        dictionary_remove(&text->names, number);
        return rc;
    }
    struct text_word *word = &text->word_at[number];
    *word = (struct text_word){0};
    rc = posting_decode(&text->slab, &word->rows, loading->end, &loading->decoder);
    if (rc == 0) {
        rc = load_slices(loading, word);
    }
    return rc < 0 ? rc : count_word(loading, number, hash);
}

static int check_lengths(const struct loading *loading)
{
    struct weir_text *text = loading->text;
    for (uint32_t ordinal = 0; ordinal < loading->end; ordinal++) {
        if (!dictionary_has(&text->rows, ordinal)) {
            continue;
        }
        uint32_t length = text->row_at[ordinal].length;
        if (length == 0 || length != loading->lengths[ordinal]) {
            return WEIR_E_STATE;
        }
        text->tokens += length;
    }
    return 0;
}

static int load_all(struct loading *loading)
{
    struct weir_text *text = loading->text;
    struct decoder *decoder = &loading->decoder;
    uint64_t skipped = 0, end = 0, words = 0;
    int rc = expect_name(decoder, words_unicode());
    rc = rc == 0 ? expect_name(decoder, text->stemmer) : rc;
    rc = rc == 0 ? decode_number(decoder, UINT64_MAX, &skipped) : rc;
    rc = rc == 0 ? decode_number(decoder, DICTIONARY_NONE - 1, &end) : rc;
    rc = rc == 0 ? decode_number(decoder, DICTIONARY_NONE - 1, &words) : rc;
    if (rc < 0) {
        return rc;
    }
    if (end > decoder_left(decoder) || words > decoder_left(decoder)) {
        return WEIR_E_STATE;
    }
    loading->end = (uint32_t)end;
    loading->lengths = base_alloc_array(end, sizeof *loading->lengths);
    if (loading->lengths == NULL) {
        return -ENOMEM;
    }
    text->skipped_documents = skipped;
    rc = load_rows(loading);
    for (uint64_t word = 0; word < words && rc == 0; word++) {
        rc = load_word(loading);
    }
    return rc < 0 ? rc : check_lengths(loading);
}

int text_load(void *self, struct weir_state_reader *reader)
{
    struct loading *loading = base_alloc_zero(sizeof *loading);
    if (loading == NULL) {
        return -ENOMEM;
    }
    loading->text = self;
    decoder_init(&loading->decoder, reader);
    int rc = load_all(loading);
    if (rc == 0) {
        rc = decoder_finish(&loading->decoder);
    } else {
        decoder_free(&loading->decoder);
    }
    base_free(loading->lengths);
    base_free(loading);
    if (rc < 0) {
        text_reset(self);
    }
    return rc;
}

/* ---- entries ---- */

/* Of one word in one row: size of the word, the word, table and key, frequency. */
static XXH128_hash_t hash_entry(struct weir_text *text, struct weir_bytes word,
                                struct weir_bytes row, uint32_t frequency)
{
    uint8_t *at = text->scratch;
    struct le32 number;
    le32_store(&number, (uint32_t)word.size);
    memcpy(at, &number, sizeof number);
    memcpy(at + sizeof number, word.data, word.size);
    size_t size = sizeof number + word.size;
    memcpy(at + size, row.data, row.size);
    size += row.size;
    le32_store(&number, frequency);
    memcpy(at + size, &number, sizeof number);
    size += sizeof number;
    WEIR_ASSERT(size <= TEXT_ENTRY_MAX);
    return XXH3_128bits(at, size);
}

static void store_hash(XXH128_hash_t hash, uint8_t ret_bytes[16])
{
    struct le64 half;
    le64_store(&half, hash.low64);
    memcpy(ret_bytes, &half, sizeof half);
    le64_store(&half, hash.high64);
    memcpy(ret_bytes + sizeof half, &half, sizeof half);
}

typedef int (*visit_fn)(struct weir_text *text, uint32_t word, uint32_t ordinal, void *context);

/* Each word of each row. */
static int visit(struct weir_text *text, visit_fn fn, void *context)
{
    for (uint32_t word = 0; word < dictionary_end(&text->names); word++) {
        struct posting_walk walk;
        if (!dictionary_has(&text->names, word)) {
            continue;
        }
        bool more = posting_first(&text->slab, &text->word_at[word].rows, &walk);
        for (; more; more = posting_next(&walk)) {
            int rc = fn(text, word, walk.ordinal, context);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

static XXH128_hash_t hash_of(struct weir_text *text, uint32_t word, uint32_t ordinal)
{
    uint32_t frequency =
        text->word_at[word].slice_count > 0 ? text_frequency(text, word, ordinal) : 1;
    return hash_entry(text, dictionary_text(&text->names, word),
                      dictionary_text(&text->rows, ordinal), frequency);
}

static int add_hash(struct weir_text *text, uint32_t word, uint32_t ordinal, void *context)
{
    XXH128_hash_t *sum = context;
    XXH128_hash_t hash = hash_of(text, word, ordinal);
    sum->low64 += hash.low64;
    sum->high64 += hash.high64 + (sum->low64 < hash.low64 ? 1 : 0);
    return 0;
}

void text_fingerprint(void *self, uint8_t ret_fingerprint[16])
{
    XXH128_hash_t sum = {0};
    (void)visit(self, add_hash, &sum);
    store_hash(sum, ret_fingerprint);
}

struct listing {
    weir_system_entry_fn fn;
    void *context;
};

/* "word -> key", with "table N: " in front of it where that is not the default one: words have no
 * space, so no two are equal. */
static size_t name_entry(uint8_t *ret_name, weir_table table, struct weir_bytes word,
                         struct weir_bytes key)
{
    size_t size = 0;
    if (table != WEIR_TABLE_DEFAULT) {
        size = (size_t)snprintf((char *)ret_name, TEXT_ENTRY_MAX, "table %u: ", (unsigned)table);
    }
    memcpy(ret_name + size, word.data, word.size);
    size += word.size;
    memcpy(ret_name + size, " -> ", 4);
    size += 4;
    memcpy(ret_name + size, key.data, key.size);
    return size + key.size;
}

static int list_entry(struct weir_text *text, uint32_t word, uint32_t ordinal, void *context)
{
    const struct listing *listing = context;
    struct weir_system_entry entry = {.lsn = text->row_at[ordinal].lsn};
    entry.key = rows_key(&text->rows, ordinal, &entry.table);
    store_hash(hash_of(text, word, ordinal), entry.hash);
    entry.text.data = text->scratch;
    entry.text.size =
        name_entry(text->scratch, entry.table, dictionary_text(&text->names, word), entry.key);
    return listing->fn(listing->context, &entry);
}

int text_entries(void *self, weir_system_entry_fn fn, void *context)
{
    struct listing listing = {.fn = fn, .context = context};
    return visit(self, list_entry, &listing);
}
