/* The one global that tests and the simulator replace. */
#include "base/system.h"

const struct base_system *base_system_current;

void base_system_set(const struct base_system *system)
{
    base_system_current = system;
}
