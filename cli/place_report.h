/*
 * The lines of a human report that say where it was measured: what the device and the medium are.
 */
#ifndef CLI_PLACE_REPORT_H
#define CLI_PLACE_REPORT_H

#include "cli/machine.h"
#include "cli/output.h"

#include <weir/medium.h>

/* What could not be found out, in words. */
const char *or_unknown(const char *text);

void place_report_device(struct output *out, const struct machine_place *place);
void place_report_medium(struct output *out, const struct weir_medium_info *medium);

#endif
