/* Exit codes of the benchmarks: those of the command. */
#ifndef BENCH_EXIT_H
#define BENCH_EXIT_H

enum bench_exit {
    BENCH_EXIT_OK = 0,
    BENCH_EXIT_NO = 1,
    BENCH_EXIT_USAGE = 2,
    BENCH_EXIT_REFUSED = 3,
    BENCH_EXIT_IO = 4,
    BENCH_EXIT_INTERRUPTED = 5,
};

#endif
