/*
 * Decimals as 128 bit integers: units of 10^-9.
 *
 *     rc = decimal_parse(text, &units);            // "12.5" is 12500000000 units
 *     sum += units;
 *     decimal = decimal_from_units(sum);
 *
 * A decimal that was parsed lies strictly between -DECIMAL_LIMIT and DECIMAL_LIMIT (10^27 < 2^90):
 * up to 2^32 of them add up to less than 2^122, so a sum of rows cannot overflow.
 */
#ifndef DERIVED_DECIMAL_H
#define DERIVED_DECIMAL_H

#include <weir/view.h>

__extension__ typedef __int128 decimal_units;
__extension__ typedef unsigned __int128 decimal_magnitude;

#define DECIMAL_UNITS_PER_ONE UINT64_C(1000000000)
#define DECIMAL_WHOLE_DIGITS 18
#define DECIMAL_FRACTION_DIGITS 9
#define DECIMAL_LIMIT                                                                              \
    ((decimal_units)UINT64_C(1000000000000000000) * (decimal_units)DECIMAL_UNITS_PER_ONE)

/* 0; -EINVAL; -ERANGE: see weir_decimal_parse(). */
int decimal_parse(struct weir_bytes text, decimal_units *ret_units);

static inline struct weir_decimal decimal_from_units(decimal_units units)
{
    return (struct weir_decimal){(int64_t)(units >> 64), (uint64_t)units};
}

static inline decimal_units decimal_to_units(struct weir_decimal decimal)
{
    return (decimal_units)((decimal_magnitude)(uint64_t)decimal.high << 64 | decimal.low);
}

#endif
