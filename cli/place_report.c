/*
 * Device and medium, in words: what is memory or emulated is never shown as durable.
 */
#include "cli/place_report.h"

#include <string.h>

const char *or_unknown(const char *text)
{
    return text[0] != '\0' ? text : "unknown";
}

void place_report_device(struct output *out, const struct machine_place *place)
{
    output_label(out, "device");
    if (place->memory) {
        output_format(out, "memory (%s): nothing here survives a restart\n", place->file_system);
        return;
    }
    output_format(out, "%s%s%s, %s, write cache: %s\n",
                  place->device[0] != '\0' ? place->device : or_unknown(place->source),
                  place->model[0] != '\0' ? " " : "", place->model, or_unknown(place->file_system),
                  or_unknown(place->write_cache));
}

/* One part a line: why this medium, then why not the ones before it. */
static void report_reasons(struct output *out, const char *reasons)
{
    while (*reasons != '\0') {
        const char *end = strstr(reasons, "; ");
        int size = (int)(end != NULL ? (size_t)(end - reasons) : strlen(reasons));
        output_format(out, "  %-16s %.*s\n", "", size, reasons);
        reasons += end != NULL ? size + 2 : size;
    }
}

void place_report_medium(struct output *out, const struct weir_medium_info *medium)
{
    output_label(out, "medium");
    output_format(out, "%s, io %s, durable: %s\n", medium->name, medium->io,
                  medium->emulated  ? "no (emulated)"
                  : medium->durable ? "yes"
                                    : "no (memory)");
    report_reasons(out, medium->reason);
}
