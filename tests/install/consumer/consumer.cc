// The same from C++17: every public header and what its initializers expand to.
#include <weir/weir.h>

#include <iostream>

namespace
{

bool initializers_are_right()
{
    const weir_error error = WEIR_ERROR_INIT;
    const weir_log_options log = WEIR_LOG_OPTIONS_INIT;
    const weir_cursor_options cursor = WEIR_CURSOR_OPTIONS_INIT;
    const weir_open_report open = WEIR_OPEN_REPORT_INIT;
    const weir_stat stat = WEIR_STAT_INIT;
    const weir_verify_report verify = WEIR_VERIFY_REPORT_INIT;
    return error.size == sizeof error && error.offset == UINT64_MAX && error.text[0] == '\0' &&
           log.size == sizeof log && log.custom_medium == nullptr && cursor.size == sizeof cursor &&
           open.size == sizeof open && stat.size == sizeof stat && verify.size == sizeof verify;
}

} // namespace

int main()
{
    if (weir_version() != WEIR_VERSION || !initializers_are_right()) {
        return 1;
    }
    std::cout << weir_version_string() << std::endl;
}
