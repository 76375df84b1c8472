/* The contract of weir/medium.h as tests that run on every medium. */
#ifndef TESTS_MEDIUM_CONTRACT_H
#define TESTS_MEDIUM_CONTRACT_H

#include "tests/medium/fixture.h"

struct contract_test {
    const char *name;
    void (*run)(void **state); /* *state is the struct fixture */
};

#define CONTRACT_TEST(function)                                                                    \
    {                                                                                              \
#function, function                                                                        \
    }

extern const struct contract_test store_contract[], window_contract[];
extern const size_t store_contract_count, window_contract_count;

#endif
