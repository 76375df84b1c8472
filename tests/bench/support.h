/* Running the benchmarks' command in a child and reading the JSON line that it prints. */
#ifndef TESTS_BENCH_SUPPORT_H
#define TESTS_BENCH_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

/* Its own for each test program (CMakeLists.txt): they run side by side. */
#ifndef WORK_DIRECTORY
#define WORK_DIRECTORY "bench-work"
#endif

/* Runs bench_main("bench", ...) with these words; NULL ends them. Returns its exit code. */
int run_bench(char *output, size_t capacity, ...);

/* Runs another program the same way. */
int run_program(const char *path, char *output, size_t capacity, ...);

/* The output must be one line with one JSON object. */
json_t *parse_line(const char *output);

double number_of(const json_t *object, const char *member);
const char *text_of(const json_t *object, const char *member);

/* An empty work directory must be left behind. */
void expect_nothing_left(void);

#endif
