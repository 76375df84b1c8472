/*
 * Which name a mistyped word was meant for.
 *
 * The distance of two words is how many letters have to be inserted, dropped, replaced, or swapped
 * with their neighbour, each at most once (optimal string alignment), row by row of the table.
 */
#include "base/text.h"

#include <string.h>

#define WORD_MAX 32u
#define SLIPS_MAX 2u
#define LETTERS_A_SLIP 3u /* two slips in a word of four letters make another word */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *left, size_t left_size, const char *right, size_t right_size)
{
    unsigned rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= right_size; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= left_size; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= right_size; j++) {
            unsigned replaced = above[j - 1] + (left[i - 1] != right[j - 1]);
            row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[left_size % 3][right_size];
}

/* Slips between a word and a name; more than SLIPS_MAX when they are not near. */
static unsigned slips(const char *word, const char *name)
{
    size_t word_size = strnlen(word, WORD_MAX + 1), name_size = strnlen(name, WORD_MAX + 1);
    if (word_size > WORD_MAX || name_size > WORD_MAX) {
        return SLIPS_MAX + 1;
    }
    unsigned count = distance(word, word_size, name, name_size);
    size_t longer = word_size > name_size ? word_size : name_size;
    return count <= (longer + 1) / LETTERS_A_SLIP ? count : SLIPS_MAX + 1;
}

const char *base_text_nearer(const char *word, const char *best, const char *candidate)
{
    unsigned of_best = best != NULL ? slips(word, best) : SLIPS_MAX + 1;
    return slips(word, candidate) < of_best ? candidate : best;
}
