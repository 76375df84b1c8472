// The same from C++17.
#include <weir/version.h>

#include <iostream>

int main()
{
    if (weir_version() != WEIR_VERSION) {
        return 1;
    }
    std::cout << weir_version_string() << std::endl;
}
