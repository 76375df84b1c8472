#include "bench/stolen.h"

#include <math.h>
#include <stdio.h>

static struct bench_stolen run;

void bench_stolen_begin(struct bench_stolen *ret_before)
{
    unsigned long long user, nice, system, idle, waiting, interrupts, soft, stolen;
    *ret_before = (struct bench_stolen){.known = false};
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) {
        return;
    }
    if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
               &waiting, &interrupts, &soft, &stolen) == 8) {
        *ret_before = (struct bench_stolen){
            .known = true, .busy = user + nice + system + interrupts + soft, .stolen = stolen};
    }
    (void)fclose(file);
}

double bench_stolen_share(const struct bench_stolen *before)
{
    struct bench_stolen now;
    bench_stolen_begin(&now);
    if (!before->known || !now.known) {
        return (double)NAN;
    }
    /* What a host says may go back, as when it moves the machine to another one. */
    double stolen = now.stolen > before->stolen ? (double)(now.stolen - before->stolen) : 0.0;
    double busy = now.busy > before->busy ? (double)(now.busy - before->busy) : 0.0;
    return stolen + busy > 0.0 ? stolen / (stolen + busy) : 0.0;
}

void bench_stolen_begin_run(void)
{
    if (!run.known) {
        bench_stolen_begin(&run);
    }
}

double bench_stolen_share_of_run(void)
{
    return bench_stolen_share(&run);
}
