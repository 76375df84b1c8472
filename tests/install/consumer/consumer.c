/* A C program that uses an installed Weir: it says which version it runs with. */
#include <weir/version.h>

#include <stdio.h>

int main(void)
{
    if (weir_version() != WEIR_VERSION) {
        return 1;
    }
    return puts(weir_version_string()) < 0;
}
