/*
 * Words: from a text to the words in it, folded, one after the other.
 *
 *     struct words_text text = {.at = data, .end = data + size};
 *     uint8_t word[WORDS_ROOM];
 *     while ((size = words_next(words, &text, word)) > 0)
 *         use(word, size);                    // text.at is right behind the word
 *
 * What a word is, and how it is folded, is in <weir/text.h>. words_next() does not stem:
 * words_stem() does, for those that want it.
 *
 * Threads: a struct words belongs to one thread at a time.
 */
#ifndef DERIVED_WORDS_H
#define DERIVED_WORDS_H

#include <weir/text.h>

/* A word is up to WEIR_TEXT_WORD_MAX bytes; behind them may be written, too. */
#define WORDS_ROOM (WEIR_TEXT_WORD_MAX + 9)

/* Of one word, so many characters count: far more than WEIR_TEXT_WORD_MAX bytes can come from. */
#define WORDS_CHARACTERS_MAX 1000

struct words;

struct words_text {
    const uint8_t *at;
    const uint8_t *end;
};

/* @param stemmer  NULL, or a language of libstemmer. 0; -EINVAL (no such); -ENOMEM. */
int words_open(const char *stemmer, struct words **ret_words);
void words_close(struct words *words);

/* Writes the next word into ret_word (WORDS_ROOM bytes): its size, 0 at the end of the text. */
uint32_t words_next(struct words *words, struct words_text *text, uint8_t *ret_word);

bool words_has_stemmer(const struct words *words);

/* Brings a word (at most WEIR_TEXT_WORD_MAX bytes) to its stem, in place: the size, or -ENOMEM. */
int words_stem(struct words *words, uint8_t *word, uint32_t size);

/* What words depend on beside the text: the version of Unicode. A constant string. */
const char *words_unicode(void);

#endif
