#!/usr/bin/env bash
# A host without CMake: compiles and links with what daguerre.pc says, and runs the program.
#
#     pkg_config.sh PREFIX LIBDIR SOURCE PROGRAM MODEL COMPILER [FLAGS…]
set -euo pipefail
prefix=$1 libdir=$2 source=$3 program=$4 model=$5
shift 5
export PKG_CONFIG_PATH="$prefix/$libdir/pkgconfig" LD_LIBRARY_PATH="$prefix/$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
mkdir -p "$(dirname "$program")"
# shellcheck disable=SC2046  # lists of flags
"$@" -std=c++20 $(pkg-config --cflags daguerre) "$source" -o "$program" $(pkg-config --libs daguerre)
"$program" "$model"
