/* The table and the JSON of `weir bench derived`. */
#ifndef BENCH_DERIVED_REPORT_H
#define BENCH_DERIVED_REPORT_H

#include "bench/derived/plan.h"
#include "bench/environment.h"

void derived_print_json(const struct derived_bench *bench,
                        const struct bench_environment *environment);
void derived_print_table(const struct derived_bench *bench,
                         const struct bench_environment *environment);

#endif
