/*
 * Words, against a slow reference: code point by code point, and whole words through
 * utf8proc_map().
 */
#include "support.h"

#include "base/random.h"
#include "derived/words.h"

#include <errno.h>
#include <libstemmer.h>
#include <utf8proc.h>

#define RANDOM_TEXTS 30000

static struct words *words;

/* ---- the reference ---- */

static bool in_word(int32_t point)
{
    const char *category = utf8proc_category_string(point);
    return category[0] == 'L' || category[0] == 'M' || strcmp(category, "Nd") == 0 || point == '_';
}

static uint8_t *map(const uint8_t *text, size_t size, int options)
{
    uint8_t *mapped;
    assert_true(utf8proc_map(text, (utf8proc_ssize_t)size, &mapped, (utf8proc_option_t)options) >=
                0);
    return mapped;
}

static uint32_t refer(struct words_text *text, uint8_t *ret_word)
{
    uint8_t run[4 * WORDS_CHARACTERS_MAX];
    size_t size = 0, characters = 0;
    while (text->at < text->end) {
        int32_t point;
        utf8proc_ssize_t bytes = utf8proc_iterate(text->at, text->end - text->at, &point);
        if (bytes > 0 && in_word(point)) {
            if (characters++ < WORDS_CHARACTERS_MAX) {
                memcpy(run + size, text->at, (size_t)bytes);
                size += (size_t)bytes;
            }
        } else if (size > 0) {
            break;
        }
        text->at += bytes > 0 ? bytes : 1;
    }
    if (size == 0) {
        return 0;
    }
    uint8_t *apart = map(run, size, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
    uint8_t *folded =
        map(apart, strlen((char *)apart), UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
    size_t length = strlen((char *)folded);
    while (length > WEIR_TEXT_WORD_MAX || (folded[length] & 0xc0) == 0x80) {
        length--;
    }
    memcpy(ret_word, folded, length);
    free(apart);
    free(folded);
    return (uint32_t)length;
}

static void print_bytes(const char *name, const uint8_t *bytes, size_t size)
{
    print_error("%s:", name);
    for (size_t i = 0; i < size; i++) {
        print_error(" %02x", bytes[i]);
    }
    print_error("\n");
}

/* Every word, and where it ends. The text is copied, so that a byte read behind it is found. */
static void expect_as_referred(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));
    assert_non_null(copy);
    memcpy(copy, data, size);
    struct words_text text = {copy, copy + size};
    struct words_text other = text;
    uint8_t word[WORDS_ROOM], expected[WORDS_ROOM];
    uint32_t word_size, expected_size;
    do {
        word_size = words_next(words, &text, word);
        expected_size = refer(&other, expected);
        if (word_size != expected_size || memcmp(word, expected, word_size) != 0 ||
            text.at != other.at) {
            print_bytes("text", data, size);
            print_bytes("word", word, word_size);
            print_bytes("expected", expected, expected_size);
            fail();
        }
    } while (word_size > 0);
    free(copy);
}

static size_t put(uint8_t *bytes, int32_t point)
{
    return (size_t)utf8proc_encode_char(point, bytes);
}

/* The words of a text, joined by '|'. */
static const char *split(const char *data, size_t size)
{
    static char joined[4096];
    struct words_text text = {(const uint8_t *)data, (const uint8_t *)data + size};
    uint8_t word[WORDS_ROOM];
    size_t used = 0;
    uint32_t word_size;
    while ((word_size = words_next(words, &text, word)) > 0) {
        if (used > 0) {
            joined[used++] = '|';
        }
        memcpy(joined + used, word, word_size);
        used += word_size;
    }
    joined[used] = 0;
    return joined;
}

/* ---- what a word is ---- */

static void ds_30_a_word_is_a_run_of_letters_digits_marks_and_underscores(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", ""},
        {" \t\n", ""},
        {"*", ""},
        {"mail", "mail"},
        {"mail-server", "mail|server"},
        {"Mail.Server,2", "mail|server|2"},
        {"snake_case _x_ __", "snake_case|_x_|__"},
        {"don't", "don|t"},
        {"A1b2C3", "a1b2c3"},
        {"@[`{/:", ""},
        {"az AZ 09", "az|az|09"},
        {"abcdefgh ijklmnop", "abcdefgh|ijklmnop"},
        {"abcdefghi-j", "abcdefghi|j"},
        {"Stra\xc3\x9f"
         "e STRASSE \xe1\xba\x9e",
         "strasse|strasse|ss"},
        {"\xc4\xb0stanbul", "i\xcc\x87stanbul"}, /* dotted I: i and a dot above */
        {"I\xcc\x87stanbul", "i\xcc\x87stanbul"},
        {"DI\xc4\xb1", "di\xc4\xb1"},                             /* dotless i stays */
        {"Caf\xc3\xa9 CAFE\xcc\x81", "caf\xc3\xa9|caf\xc3\xa9"},  /* composed or not */
        {"\xef\xbc\xa1\xef\xbc\xa2", "\xef\xbd\x81\xef\xbd\x82"}, /* full width stays so */
        {"\xd0\x9c\xd0\x9e\xd0\xa1\xd0\x9a\xd0\x92\xd0\x90", "\xd0\xbc\xd0\xbe\xd1\x81\xd0\xba"
                                                             "\xd0\xb2\xd0\xb0"},
        {"\xce\xa3\xce\x8a\xce\xa3\xce\xa5\xce\xa6\xce\x9f\xce\xa3", /* both sigmas are one */
         "\xcf\x83\xce\xaf\xcf\x83\xcf\x85\xcf\x86\xce\xbf\xcf\x83"},
        {"\xcf\x82", "\xcf\x83"},
        {"\xd7\xa9\xd6\xb8\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd6\xb8\xd7\x9c\xd7\x95\xd7\x9d"},
        {"\xd9\xa3\xd9\xa4", "\xd9\xa3\xd9\xa4"},                        /* Arabic digits */
        {"\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\x82\xe0\xa4\xa6\xe0\xa5\x80", /* signs of vowels */
         "\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\x82\xe0\xa4\xa6\xe0\xa5\x80"},
        {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x80\x82\xe6\x97\xa5", /* one word, a stop */
         "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e|\xe6\x97\xa5"},
        {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c"}, /* Hangul, composed */
        {"x\xc2\xb2", "x"},            /* a superscript is a number, no digit */
        {"\xe2\x85\xa7 \xc2\xbd", ""}, /* Roman numeral, one half: nor are these */
        {"\xf0\x9d\x9f\x99\xf0\x9f\x98\x80", "\xf0\x9d\x9f\x99"}, /* a digit, a face */
        {"a\xe2\x80\x8d"
         "b",
         "a|b"}, /* a joiner is none */
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t size = strlen(cases[i].text);
        assert_string_equal(split(cases[i].text, size), cases[i].words);
        expect_as_referred((const uint8_t *)cases[i].text, size);
    }
    assert_string_equal(split("a\0b", 3), "a|b");
}

static void ds_30_each_character_is_folded_as_unicode_says_alone_and_among_others(void **state)
{
    (void)state;
    for (int32_t point = 0; point < 0x110000; point++) {
        uint8_t text[32];
        size_t size = put(text, 'K');
        size += put(text + size, point);
        size += put(text + size, point < 0x3000 ? 0x345 : 'B');
        size += put(text + size, ' ');
        size += put(text + size, point);
        if (utf8proc_codepoint_valid(point)) {
            expect_as_referred(text, size);
        }
    }
}

static int32_t draw_point(struct base_prng *prng)
{
    static const struct {
        int32_t from, count;
    } ranges[] = {{'a', 26},     {'A', 26},    {0x20, 96},    {0xc0, 64},    {0x100, 0x150},
                  {0x300, 112},  {0x345, 1},   {0x370, 144},  {0x400, 96},   {0x590, 96},
                  {0x620, 96},   {0x900, 128}, {0x1100, 256}, {0x1e00, 256}, {0x1f00, 256},
                  {0x2000, 112}, {0xac00, 64}, {0x4e00, 64},  {0xfb00, 80},  {0xff00, 240},
                  {0x10400, 80}, {0x1d160, 32}};
    size_t range = base_prng_below(prng, COUNT_OF(ranges));
    return ranges[range].from + (int32_t)base_prng_below(prng, (uint64_t)ranges[range].count);
}

static void ds_30_random_texts_have_the_words_of_the_reference(void **state)
{
    struct base_prng prng;
    (void)state;
    base_prng_seed(&prng, 30);
    for (unsigned i = 0; i < RANDOM_TEXTS; i++) {
        uint8_t text[256];
        size_t size = 0;
        uint64_t points = base_prng_below(&prng, 40);
        for (uint64_t point = 0; point < points; point++) {
            uint64_t chance = base_prng_below(&prng, 12);
            if (chance == 0) {
                text[size++] = (uint8_t)base_prng_below(&prng, 256);
            } else if (chance < 5) {
                text[size++] = (uint8_t)('a' + base_prng_below(&prng, 26));
            } else {
                size += put(text + size, draw_point(&prng));
            }
        }
        expect_as_referred(text, size);
    }
}

static void ds_30_bytes_that_are_no_utf8_end_a_word_wherever_they_stand(void **state)
{
    static const char *const bad[] = {
        "\x80",     "\xbf",         "\xc0",         "\xc1\xa1",     "\xc3",
        "\xe2\x82", "\xe0\x80\xa1", "\xed\xa0\x80", "\xf0\x9f\x98", "\xf4\x90\x80\x80",
        "\xf8",     "\xfe",         "\xff",
    };
    static const char around[] = "Word\xc3\xa9r\xe6\x97\xa5\xf0\x90\x90\x80 abcdefghijklmnop";
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        for (size_t at = 0; at < sizeof around; at++) {
            uint8_t text[64];
            size_t size = strlen(bad[i]);
            memcpy(text, around, at);
            memcpy(text + at, bad[i], size);
            memcpy(text + at + size, around + at, sizeof around - 1 - at);
            expect_as_referred(text, size + sizeof around - 1);
        }
    }
    assert_string_equal(split("one\xfftwo", 7), "one|two");
    assert_string_equal(split("caf\xc3", 4), "caf");
    assert_string_equal(split("\xe2\x82y", 3), "y");
}

static void ds_30_a_long_word_is_cut_before_the_character_that_does_not_fit(void **state)
{
    static const char *const letters[] = {"a",
                                          "Z",
                                          "\xc3\xa9",
                                          "e\xcc\x81",
                                          "\xc3\x9f",
                                          "\xe6\x97\xa5",
                                          "\xf0\x90\x90\x80",
                                          "\xe1\xbe\x80\xcc\x81"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(letters); i++) {
        for (size_t front = 0; front < 9; front++) {
            uint8_t text[9 + 300 * 5 + 8];
            size_t size = 0, unit = strlen(letters[i]);
            memset(text, 'x', front);
            size = front;
            for (size_t count = 0; count < 300; count++, size += unit) {
                memcpy(text + size, letters[i], unit);
                if (front + count * unit > 240) {
                    expect_as_referred(text, size + unit);
                }
            }
            memcpy(text + size, " next", 5);
            expect_as_referred(text, size + 5);
        }
    }
}

static void ds_30_any_number_of_marks_comes_in_the_order_of_their_classes(void **state)
{
    static const int32_t marks[] = {0x301, 0x323,   0x345, 0x327, 0x5b0,
                                    0x64b, 0x1d165, 0x302, 0x344};
    static uint8_t text[8192];
    struct base_prng prng;
    (void)state;
    base_prng_seed(&prng, 7);
    for (unsigned count = 0; count < 220; count++) {
        size_t size = put(text, 'a' + (int32_t)(count % 26));
        for (unsigned i = 0; i < count; i++) {
            bool letter = base_prng_below(&prng, 30) == 0;
            size_t mark = base_prng_below(&prng, COUNT_OF(marks));
            size += put(text + size, letter ? 0x3b1 : marks[mark]);
        }
        expect_as_referred(text, size);
    }
}

static void ds_30_a_word_of_any_length_is_one_word(void **state)
{
    size_t size = 3u << 20;
    uint8_t *text = malloc(size);
    (void)state;
    assert_non_null(text);
    memset(text, 'q', size);
    struct words_text rest = {text, text + size};
    uint8_t word[WORDS_ROOM];
    assert_int_equal(words_next(words, &rest, word), WEIR_TEXT_WORD_MAX);
    assert_int_equal(words_next(words, &rest, word), 0);
    text[size - 2] = 0xcc; /* a mark at the very end: the whole word is folded the long way */
    text[size - 1] = 0x81;
    rest = (struct words_text){text, text + size};
    assert_int_equal(words_next(words, &rest, word), WEIR_TEXT_WORD_MAX);
    assert_int_equal(words_next(words, &rest, word), 0);
    free(text);
}

static void ds_30_equivalent_texts_are_the_same_words(void **state)
{
    (void)state;
    for (int32_t point = 0x80; point < 0x30000; point++) {
        uint8_t text[8] = {0};
        size_t size = put(text, point);
        if (!utf8proc_codepoint_valid(point) || !in_word(point)) {
            continue;
        }
        uint8_t *apart = map(text, size, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
        char first[64];
        strcpy(first, split((const char *)text, size));
        assert_string_equal(first, split((const char *)apart, strlen((char *)apart)));
        /* And folding them once more changes nothing. */
        assert_string_equal(first, split(first, strlen(first)));
        free(apart);
    }
}

/* ---- stems ---- */

static void ds_30_words_are_brought_to_their_stem_when_asked(void **state)
{
    static const struct {
        const char *language, *word, *stem;
    } cases[] = {
        {"english", "running", "run"},
        {"english", "servers", "server"},
        {"english", "2024", "2024"},
        {"english", "_", "_"},
        {"german", "h\xc3\xa4user", "haus"},
        {"french", "continuellement", "continuel"},
        {"russian", "\xd0\xba\xd0\xbd\xd0\xb8\xd0\xb3\xd0\xb8", "\xd0\xba\xd0\xbd\xd0\xb8\xd0\xb3"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct words *stemming;
        uint8_t word[WORDS_ROOM];
        assert_int_equal(words_open(cases[i].language, &stemming), 0);
        assert_true(words_has_stemmer(stemming));
        memcpy(word, cases[i].word, strlen(cases[i].word));
        int size = words_stem(stemming, word, (uint32_t)strlen(cases[i].word));
        assert_int_equal(size, strlen(cases[i].stem));
        assert_memory_equal(word, cases[i].stem, (size_t)size);
        words_close(stemming);
    }
    uint8_t word[] = "running";
    assert_false(words_has_stemmer(words));
    assert_int_equal(words_stem(words, word, 7), 7);
    assert_string_equal(word, "running");
}

static void ds_30_no_language_makes_nothing_of_a_word_or_more_than_there_is_room_for(void **state)
{
    (void)state;
    for (const char **language = sb_stemmer_list(); *language != NULL; language++) {
        struct words *stemming;
        assert_int_equal(words_open(*language, &stemming), 0);
        for (uint32_t length = 1; length <= WEIR_TEXT_WORD_MAX; length++) {
            uint8_t word[WORDS_ROOM];
            memset(word, length % 2 == 0 ? 's' : 'e', length);
            int size = words_stem(stemming, word, length);
            assert_in_range(size, 1, WEIR_TEXT_WORD_MAX);
        }
        words_close(stemming);
    }
}

static void ds_30_a_stemmer_that_does_not_exist_is_refused(void **state)
{
    struct words *none = NULL;
    (void)state;
    assert_int_equal(words_open("klingon", &none), -EINVAL);
    assert_int_equal(words_open("", &none), -EINVAL);
    assert_int_equal(words_open("English", &none), -EINVAL);
    assert_null(none);
    fail_allocation(1, false);
    assert_int_equal(words_open(NULL, &none), -ENOMEM);
    assert_int_equal(stop_failing(), 1);
    assert_null(none);
    words_close(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_30_a_word_is_a_run_of_letters_digits_marks_and_underscores),
        cmocka_unit_test(ds_30_each_character_is_folded_as_unicode_says_alone_and_among_others),
        cmocka_unit_test(ds_30_random_texts_have_the_words_of_the_reference),
        cmocka_unit_test(ds_30_bytes_that_are_no_utf8_end_a_word_wherever_they_stand),
        cmocka_unit_test(ds_30_a_long_word_is_cut_before_the_character_that_does_not_fit),
        cmocka_unit_test(ds_30_any_number_of_marks_comes_in_the_order_of_their_classes),
        cmocka_unit_test(ds_30_a_word_of_any_length_is_one_word),
        cmocka_unit_test(ds_30_equivalent_texts_are_the_same_words),
        cmocka_unit_test(ds_30_words_are_brought_to_their_stem_when_asked),
        cmocka_unit_test(ds_30_no_language_makes_nothing_of_a_word_or_more_than_there_is_room_for),
        cmocka_unit_test(ds_30_a_stemmer_that_does_not_exist_is_refused),
    };
    if (words_open(NULL, &words) < 0) {
        return 1;
    }
    int failed = RUN_TESTS(tests, argc, argv);
    words_close(words);
    return failed;
}
