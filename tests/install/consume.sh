#!/bin/sh
# Installs a build into a scratch folder and builds the consumer against it in every way we support:
# find_package (shared and static), pkg-config (shared and static), C and C++17.
#
# usage: consume.sh CMAKE BUILD_DIR CONSUMER_DIR WORK_DIR C_COMPILER
set -eu

cmake=$1
build=$2
consumer=$3
work=$4
cc=$5
case $cc in
*clang) cxx=${cc}++ ;;
*) cxx=c++ ;;
esac

rm -rf "$work"
mkdir -p "$work"
"$cmake" --install "$build" --prefix "$work/first" >"$work/install.log"
# Moved after it was installed: nothing in it may know where it was put.
mv "$work/first" "$work/prefix"
prefix=$work/prefix

expect_version() {
    said=$("$@")
    echo "$said: $*"
    [ "$said" = "$version" ] || { echo "expected $version"; exit 1; }
}

pc=$(find "$prefix" -name weir.pc)
export PKG_CONFIG_PATH="${pc%/weir.pc}"
version=$(pkg-config --modversion weir)
libdir=$(pkg-config --variable=libdir weir)
if grep -r "$work/first" "$prefix" --include='*.pc' --include='*.cmake'; then
    echo "an installed file names the prefix that it was installed to"
    exit 1
fi

echo "== find_package"
"$cmake" -S "$consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" >"$work/configure.log"
"$cmake" --build "$work/cmake" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
for program in c_shared cxx_shared c_static cxx_static; do
    expect_version "$work/cmake/$program"
done

echo "== pkg-config"
strict="-Wall -Wextra -Wpedantic -Werror"
# shellcheck disable=SC2046,SC2086
"$cc" -std=c17 $strict "$consumer/consumer.c" $(pkg-config --cflags --libs weir) \
    -o "$work/pc_c_shared"
# shellcheck disable=SC2046,SC2086
"$cxx" -std=c++17 $strict "$consumer/consumer.cc" $(pkg-config --cflags --libs weir) \
    -o "$work/pc_cxx_shared"
expect_version env LD_LIBRARY_PATH="$libdir" "$work/pc_c_shared"
expect_version env LD_LIBRARY_PATH="$libdir" "$work/pc_cxx_shared"

# Only our archive is there to be found, so -lweir means it.
mkdir "$work/archive"
cp "$libdir/libweir.a" "$work/archive/"
# shellcheck disable=SC2046,SC2086
"$cc" -std=c17 $strict "$consumer/consumer.c" -L"$work/archive" \
    $(pkg-config --static --cflags --libs weir | sed "s|-L$libdir||g; s|-L[^ ]*prefix[^ ]*||g") \
    -o "$work/pc_c_static"
expect_version "$work/pc_c_static"

echo "== every public header compiles alone, as C17 and as C++17"
for header in "$prefix"/include/weir/*.h; do
    name=weir/$(basename "$header")
    # The declaration is there because ISO C wants at least one.
    # shellcheck disable=SC2086
    printf '#include <%s>\nextern int consumer;\n' "$name" | "$cc" -std=c17 $strict -I"$prefix/include" -x c -fsyntax-only -
    # shellcheck disable=SC2086
    printf '#include <%s>\nextern int consumer;\n' "$name" | "$cxx" -std=c++17 $strict -I"$prefix/include" -x c++ -fsyntax-only -
done

echo "== the shared library exports weir_* and nothing else"
library=$libdir/libweir.so
if nm -D --defined-only "$library" | awk '$2 != "A" {print $3}' | grep -v '^weir_'; then
    echo "exported by mistake"
    exit 1
fi
nm -D --defined-only "$library" | grep -q ' weir_version' || { echo "exports nothing"; exit 1; }
