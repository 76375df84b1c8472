/*
 * Words of a text: maximal runs of letters, digits, marks and '_', in one folded form each.
 *
 * Happy path: ASCII is classified and lowered eight bytes at a time. Characters below U+0800 that
 * fold to one character and never interact with their neighbours (nearly all letters of Latin,
 * Greek, Cyrillic, Armenian, Hebrew, Arabic) come from a table. A word with any other character
 * is done again from its beginning: full case folding, canonical decomposition, order of marks and
 * composition by utf8proc. All three give the same for the same word.
 *
 * Failure modes: a byte that begins no valid UTF-8 sequence ends a word and is skipped alone. A
 * word longer than WEIR_TEXT_WORD_MAX bytes in its folded form is cut there, before the character
 * that does not fit. Stemming can run out of memory, nothing else can.
 *
 * Invariants: a word has 1 to WEIR_TEXT_WORD_MAX bytes of valid UTF-8; no byte is written behind
 * WORDS_ROOM; equal texts give equal words (for one version of Unicode).
 */
#include "derived/words.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/le.h"

#include <errno.h>
#include <libstemmer.h>
#include <string.h>
#include <utf8proc.h>

#define TABLE_POINTS 0x800
#define POINTS_MAX                                                                                 \
    (4 * WORDS_CHARACTERS_MAX) /* no character has more than 4 in any of the forms                 \
                                */

#define MARKS_FEW 16

/* What the table says of a code point, unless it is what to write instead. */
#define NO_WORD 0
#define NOT_SIMPLE 0xffff

struct words {
    struct sb_stemmer *stemmer;
    uint16_t simple[TABLE_POINTS];
    int32_t points[POINTS_MAX];
    int32_t folded[POINTS_MAX];
    int32_t spare[POINTS_MAX];
};

static const utf8proc_option_t fold_options =
    (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
static const utf8proc_option_t compose_options =
    (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

/* ---- characters ---- */

static bool is_of_word(int32_t point)
{
    const uint32_t in_words =
        1u << UTF8PROC_CATEGORY_LU | 1u << UTF8PROC_CATEGORY_LL | 1u << UTF8PROC_CATEGORY_LT |
        1u << UTF8PROC_CATEGORY_LM | 1u << UTF8PROC_CATEGORY_LO | 1u << UTF8PROC_CATEGORY_MN |
        1u << UTF8PROC_CATEGORY_MC | 1u << UTF8PROC_CATEGORY_ME | 1u << UTF8PROC_CATEGORY_ND;
    return point == '_' || (in_words >> utf8proc_category(point) & 1) != 0;
}

/* One character of UTF-8: its size, or 0 when there is none here. */
static uint32_t decode(const uint8_t *at, const uint8_t *end, int32_t *ret_point)
{
    utf8proc_ssize_t size = utf8proc_iterate(at, end - at, ret_point);
    return size > 0 ? (uint32_t)size : 0;
}

static uint8_t class_of(int32_t point)
{
    return (uint8_t)utf8proc_get_property(point)->combining_class;
}

/* Sorts by class, in time that does not grow with the square of the count: texts can be hostile. */
static void order_many(struct words *words, int32_t *points, uint32_t count)
{
    uint32_t starts[257] = {0};
    for (uint32_t i = 0; i < count; i++) {
        starts[class_of(points[i]) + 1]++;
    }
    for (uint32_t class = 1; class < 257; class ++) {
        starts[class] += starts[class - 1];
    }
    memcpy(words->spare, points, count * sizeof *points);
    for (uint32_t i = 0; i < count; i++) {
        points[starts[class_of(words->spare[i])]++] = words->spare[i];
    }
}

static void order_few(int32_t *points, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        int32_t point = points[i];
        uint32_t to = i;
        for (; to > 0 && class_of(points[to - 1]) > class_of(point); to--) {
            points[to] = points[to - 1];
        }
        points[to] = point;
    }
}

/* Marks of one character in the order of their classes, those of one class as they were. */
static void order_marks(struct words *words, int32_t *points, uint32_t count)
{
    uint32_t at = 0;
    while (at < count) {
        uint32_t end = at;
        while (end < count && class_of(points[end]) > 0) {
            end++;
        }
        if (end - at > MARKS_FEW) {
            order_many(words, points + at, end - at);
        } else {
            order_few(points + at, end - at);
        }
        at = end + 1;
    }
}

static uint32_t decompose(struct words *words, const int32_t *points, uint32_t count,
                          utf8proc_option_t options, int32_t *ret_points)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < count; i++) {
        int boundary = 0;
        utf8proc_ssize_t more =
            utf8proc_decompose_char(points[i], ret_points + made,
                                    (utf8proc_ssize_t)(POINTS_MAX - made), options, &boundary);
        WEIR_ASSERT(more >= 0 && (uint32_t)more <= POINTS_MAX - made);
        made += (uint32_t)more;
    }
    order_marks(words, ret_points, made);
    return made;
}

/* A iota below changes its class when it is folded, so order comes first where there may be one. */
static bool may_have_iota_below(int32_t point)
{
    return point == 0x345 || (point >= 0x1f80 && point <= 0x1ffc);
}

/* Folds words->points into words->folded: how many there are. */
static uint32_t fold(struct words *words, uint32_t count, bool iota_below)
{
    if (iota_below) {
        uint32_t decomposed =
            decompose(words, words->points, count,
                      (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), words->folded);
        count = decomposed < WORDS_CHARACTERS_MAX ? decomposed : WORDS_CHARACTERS_MAX;
        memcpy(words->points, words->folded, count * sizeof *words->points);
    }
    uint32_t folded = decompose(words, words->points, count, fold_options, words->folded);
    utf8proc_ssize_t composed =
        utf8proc_normalize_utf32(words->folded, (utf8proc_ssize_t)folded, compose_options);
    WEIR_ASSERT(composed > 0 && (uint32_t)composed <= folded);
    return (uint32_t)composed;
}

/* ---- the long way ---- */

/* A whole word from text->at on; the caller has seen that there is one. */
static uint32_t next_folded(struct words *words, struct words_text *text, uint8_t *ret_word)
{
    uint32_t count = 0;
    bool iota_below = false;
    while (text->at < text->end) {
        int32_t point;
        uint32_t bytes = decode(text->at, text->end, &point);
        if (bytes == 0 || !is_of_word(point)) {
            break;
        }
        text->at += bytes;
        if (count < WORDS_CHARACTERS_MAX) {
            iota_below = iota_below || may_have_iota_below(point);
            words->points[count++] = point;
        }
    }
    WEIR_ASSERT(count > 0);
    count = fold(words, count, iota_below);
    uint32_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[4];
        utf8proc_ssize_t more = utf8proc_encode_char(words->folded[i], bytes);
        WEIR_ASSERT(more > 0 && more <= 4);
        if (size + (uint32_t)more > WEIR_TEXT_WORD_MAX) {
            break;
        }
        memcpy(ret_word + size, bytes, (size_t)more);
        size += (uint32_t)more;
    }
    WEIR_ASSERT(size > 0);
    return size;
}

/* ---- the short ways ---- */

/* For ASCII: what to write, 0 for what is in no word. */
static const uint8_t ascii_fold[128] = {
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
    ['7'] = '7', ['8'] = '8', ['9'] = '9', ['_'] = '_', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c',
    ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j',
    ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q',
    ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x',
    ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l',
    ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's',
    ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

/* The high bit of each byte (of 7 bits) that is at least `least`. */
static inline uint64_t at_least(uint64_t bytes, uint8_t least)
{
    return bytes + EACH_BYTE * (0x80u - least);
}

/* Folds eight bytes that begin in a word: how many of them are in it, of ASCII. */
static inline uint32_t fold_eight(const uint8_t *at, uint8_t *ret_word)
{
    struct le64 eight;
    memcpy(&eight, at, sizeof eight);
    uint64_t bytes = le64_load(&eight);
    uint64_t low = bytes & ~HIGH_BITS;
    uint64_t lowered = low | EACH_BYTE * 0x20;
    uint64_t letter = at_least(lowered, 'a') & ~at_least(lowered, 'z' + 1);
    uint64_t digit = at_least(low, '0') & ~at_least(low, '9' + 1);
    uint64_t other = at_least(low ^ EACH_BYTE * '_', 1);
    uint64_t ends = ~((letter | digit | ~other) & ~bytes) & HIGH_BITS;
    le64_store(&eight, bytes | (letter & HIGH_BITS) >> 2);
    memcpy(ret_word, &eight, sizeof eight);
    return ends != 0 ? (uint32_t)__builtin_ctzll(ends) / 8 : 8;
}

/* Moves to the first byte of a word: false when there is none. */
static bool skip_to_word(const struct words *words, struct words_text *text)
{
    while (text->at < text->end) {
        uint8_t byte = *text->at;
        if (byte < 0x80) {
            if (ascii_fold[byte] != 0) {
                return true;
            }
            text->at++;
            continue;
        }
        int32_t point;
        uint32_t bytes = decode(text->at, text->end, &point);
        if (bytes > 0 &&
            (point < TABLE_POINTS ? words->simple[point] != NO_WORD : is_of_word(point))) {
            return true;
        }
        text->at += bytes > 0 ? bytes : 1;
    }
    return false;
}

/* Writes one of those characters that the table has: its size. */
static inline uint32_t write_simple(uint16_t point, uint8_t *ret_bytes)
{
    if (point < 0x80) {
        ret_bytes[0] = (uint8_t)point;
        return 1;
    }
    ret_bytes[0] = (uint8_t)(0xc0 | point >> 6);
    ret_bytes[1] = (uint8_t)(0x80 | (point & 0x3f));
    return 2;
}

/* What the character at `at` folds to, its own size in ret_bytes; NO_WORD: the word ends here. */
static inline uint16_t simple_at(const struct words *words, const uint8_t *at, const uint8_t *end,
                                 uint32_t *ret_bytes)
{
    *ret_bytes = 1;
    if (at[0] < 0x80) {
        return ascii_fold[at[0]];
    }
    int32_t point;
    *ret_bytes = decode(at, end, &point);
    if (*ret_bytes == 0) {
        return NO_WORD;
    }
    if (point < TABLE_POINTS) {
        return words->simple[point];
    }
    return is_of_word(point) ? NOT_SIMPLE : NO_WORD;
}

uint32_t words_next(struct words *words, struct words_text *text, uint8_t *ret_word)
{
    if (!skip_to_word(words, text)) {
        return 0;
    }
    const uint8_t *at = text->at;
    const uint8_t *end = text->end;
    uint32_t size = 0;
    while (end - at >= 8 && size <= WEIR_TEXT_WORD_MAX - 8) {
        uint32_t more = fold_eight(at, ret_word + size);
        at += more;
        size += more;
        if (more < 8) {
            break;
        }
    }
    bool cut = false;
    while (at < end) {
        uint32_t bytes;
        uint16_t point = simple_at(words, at, end, &bytes);
        if (point == NO_WORD) {
            break;
        }
        if (point == NOT_SIMPLE) {
            return next_folded(words, text, ret_word);
        }
        at += bytes;
        cut = cut || size + (point < 0x80 ? 1 : 2) > WEIR_TEXT_WORD_MAX;
        size += cut ? 0 : write_simple(point, ret_word + size);
    }
    text->at = at;
    return size;
}

/* ---- the tokenizer itself ---- */

static void fill_table(struct words *words)
{
    for (int32_t point = 0; point < TABLE_POINTS; point++) {
        words->simple[point] = NO_WORD;
        if (!is_of_word(point)) {
            continue;
        }
        words->points[0] = point;
        uint32_t count = fold(words, 1, false);
        bool mark = utf8proc_get_property(point)->combining_class != 0 ||
                    utf8proc_category(point) == UTF8PROC_CATEGORY_MN;
        bool simple = count == 1 && words->folded[0] < TABLE_POINTS && !mark;
        words->simple[point] = simple ? (uint16_t)words->folded[0] : NOT_SIMPLE;
    }
}

/* 0; -EINVAL; -ENOMEM: libstemmer does not say which. */
static int open_stemmer(struct words *words, const char *stemmer)
{
    words->stemmer = sb_stemmer_new(stemmer, NULL);
    if (words->stemmer != NULL) {
        return 0;
    }
    for (const char **name = sb_stemmer_list(); *name != NULL; name++) {
        if (strcmp(*name, stemmer) == 0) {
            return -ENOMEM;
        }
    }
    return -EINVAL;
}

int words_open(const char *stemmer, struct words **ret_words)
{
    struct words *words = base_alloc_zero(sizeof *words);
    if (words == NULL) {
        return -ENOMEM;
    }
    int rc = stemmer != NULL ? open_stemmer(words, stemmer) : 0;
    if (rc < 0) {
        base_free(words);
        return rc;
    }
    fill_table(words);
    *ret_words = words;
    return 0;
}

void words_close(struct words *words)
{
    if (words == NULL) {
        return;
    }
    if (words->stemmer != NULL) {
        sb_stemmer_delete(words->stemmer);
    }
    base_free(words);
}

bool words_has_stemmer(const struct words *words)
{
    return words->stemmer != NULL;
}

int words_stem(struct words *words, uint8_t *word, uint32_t size)
{
    WEIR_ASSERT(size > 0 && size <= WEIR_TEXT_WORD_MAX);
    if (words->stemmer == NULL) {
        return (int)size;
    }
    const sb_symbol *stem = sb_stemmer_stem(words->stemmer, word, (int)size);
    if (stem == NULL) {
        return -ENOMEM;
    }
    int length = sb_stemmer_length(words->stemmer);
    if (length <= 0 || length > WEIR_TEXT_WORD_MAX) {
        return (int)size;
    }
    memcpy(word, stem, (size_t)length);
    return length;
}

const char *words_unicode(void)
{
    return utf8proc_unicode_version();
}
