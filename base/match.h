/*
 * Looking for a byte among 32 at once.
 *
 *     uint32_t equal = base_match_32(words, 'x');
 *     unsigned first = (unsigned)__builtin_ctz(equal);  // when it is not 0
 *
 * Without a branch that depends on what lies there: where the bytes come from memory that is far
 * away, a processor that guesses such a branch wrong has to begin again behind it.
 */
#ifndef BASE_MATCH_H
#define BASE_MATCH_H

#include <stdatomic.h>
#include <stdint.h>
#if defined __SSE2__
#include <emmintrin.h>
#endif

/* Where a byte is among 16, the first of them in the lowest bits of words[0]: as bits from the
 * lowest. Aligned to 16 bytes. Others may store into them meanwhile, whole words; all that was
 * stored before what the caller has acquired is seen. */
static inline uint32_t base_match_16(const _Atomic uint64_t *words, unsigned byte)
{
#if defined __SSE2__ && !defined __SANITIZE_THREAD__ /* which takes it for a race */
    const __m128i *bytes = (const __m128i *)(const void *)(uintptr_t)words;
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(*bytes, _mm_set1_epi8((char)byte)));
#else
    uint32_t equal = 0;
    for (unsigned at = 0; at < 16; at++) {
        uint64_t word = atomic_load_explicit(&words[at / 8], memory_order_relaxed);
        equal |= (uint32_t)((word >> at % 8 * 8 & 0xff) == byte) << at;
    }
    return equal;
#endif
}

/* The same among 32. */
static inline uint32_t base_match_32(const _Atomic uint64_t *words, unsigned byte)
{
    return base_match_16(words, byte) | base_match_16(words + 2, byte) << 16;
}

/* The same of the eight bytes of a word, the lowest first. Bits 8 and up mean nothing. */
static inline uint32_t base_match_8(uint64_t word, unsigned byte)
{
#if defined __SSE2__
    const __m128i bytes = _mm_cvtsi64_si128((long long)word);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)byte)));
#else
    uint32_t equal = 0;
    for (unsigned at = 0; at < 8; at++) {
        equal |= (uint32_t)((word >> at * 8 & 0xff) == byte) << at;
    }
    return equal;
#endif
}

#endif
