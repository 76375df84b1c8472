/* The version that this library was compiled as. */
#include <weir/version.h>

#define STRING_OF(value) #value
#define DOTTED(major, minor, patch) STRING_OF(major) "." STRING_OF(minor) "." STRING_OF(patch)

unsigned weir_version(void)
{
    return WEIR_VERSION;
}

const char *weir_version_string(void)
{
    return DOTTED(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);
}
