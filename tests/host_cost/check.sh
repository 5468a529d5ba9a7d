#!/usr/bin/env bash
# One check of what the library costs its host, see CMakeLists.txt.
#
#     check.sh SECTION ARGUMENT…
set -euo pipefail

fail() {
  echo "FAILED: $1"
  shift
  printf '%s\n' "$@"
  exit 1
}

# <daguerre/daguerre.hpp> brings in no header of Eigen, the JSON library or stb.
facade_headers() {
  local include=$1 compiler=$2 files
  files=$(echo '#include <daguerre/daguerre.hpp>' | "$compiler" -std=c++20 -I "$include" -M -x c++ - | tr -s ' \\' '\n')
  grep -q 'daguerre/pipeline/pipeline.hpp$' <<<"$files" || fail "the list of headers is wrong: $files"
  if grep -iE '/(Eigen|eigen3|nlohmann|stb)/|stb_image|/eigen\.hpp$' <<<"$files"; then fail "the facade includes the headers above"; fi
}

# A file that includes it compiles in two seconds of processor time; the best of five counts, as machines are noisy.
facade_compile_time() {
  local include=$1 compiler=$2 best=9999999 milliseconds
  export TIMEFORMAT=%U
  for _ in 1 2 3 4 5; do
    milliseconds=$({ time echo '#include <daguerre/daguerre.hpp>' |
      "$compiler" -std=c++20 -I "$include" -c -x c++ - -o /dev/null; } 2>&1 | tail -n 1 | tr -d '.,')
    milliseconds=$((10#$milliseconds))
    if [ "$milliseconds" -lt "$best" ]; then best=$milliseconds; fi
  done
  echo "$best ms"
  [ "$best" -le 2000 ] || fail "a file that includes the facade compiles in $best ms"
}

# No source calls what would end the host. To permit a line, give a pattern for "file:text" here and say why.
no_ending_calls() {
  local found allowed=(
    '^$'  # nothing is permitted so far
  )
  cd "$1"
  grep -rqw 'throw' include src || fail "no sources in $1"
  found=$(grep -rnE --include='*.hpp' --include='*.cpp' --include='*.inc' \
    '(^|[^A-Za-z0-9_"])(abort|exit|_exit|_Exit|quick_exit|terminate|assert|eigen_assert|raise|kill|__builtin_trap|__builtin_unreachable) *\(' \
    include src | sed -E 's/^([^:]*):[0-9]*:/\1:/' | grep -vE "$(IFS='|'; echo "${allowed[*]}")" || true)
  [ -z "$found" ] || fail "these may end the host program:" "$found"
}

# Nor do the compiled objects, with what they take from headers of others.
no_ending_symbols() {
  local objects=$1 nm=$2 undefined found
  undefined=$(xargs "$nm" -u <"$objects" | awk '$1 == "U" { print $2 }' | sort -u)
  grep -q '^__cxa_throw' <<<"$undefined" || fail "no objects in $objects"
  found=$(grep -E '^(abort|exit|_exit|_Exit|quick_exit|__assert_fail|raise|kill|signal)(@|$)' <<<"$undefined" || true)
  [ -z "$found" ] || fail "the library refers to" "$found"
}

# A shared library exports namespace daguerre and nothing else.
exported_symbols() {
  local library=$1 nm=$2 symbols foreign
  # Without parameters there is no return type either, so that the name comes first.
  symbols=$("$nm" -D --defined-only "$library" | awk '{ print $NF }' | c++filt --no-params)
  grep -q '^daguerre::Pipeline::load' <<<"$symbols" || fail "the library does not export daguerre::Pipeline::load"
  foreign=$(grep -vE '^((typeinfo( name)?|vtable|VTT|guard variable) for |(non-)?virtual thunk to )?daguerre::' <<<"$symbols" || true)
  [ -z "$foreign" ] || fail "the library exports" "$foreign"
}

# Nothing runs before main, so nothing can allocate or depend on an order.
no_global_constructors() {
  local objects=$1 objdump=$2 sections found
  sections=$(xargs "$objdump" -h <"$objects")
  grep -q '\.text' <<<"$sections" || fail "no objects in $objects"
  found=$(awk '/file format/ { file = $1 } $2 ~ /^\.(init_array|ctors|preinit_array)/ { print file, $2 }' <<<"$sections")
  [ -z "$found" ] || fail "these have constructors that run before main:" "$found"
}

# Every statement of docs/embedding.md (a line that begins with *) names a test, and every test named there exists.
embedding_statements() {
  local document=$1 build=$2 ctest=$3 known named unknown without
  known=$("$ctest" --test-dir "$build" -N | sed -nE 's/^ *Test +#[0-9]+: //p')
  [ -n "$known" ] || fail "no tests in $build"
  grep -q '^\* ' "$document" || fail "no statements in $document"
  without=$(awk '
    function done() { if (statement != "" && statement !~ /`test: [^`]+`/) print statement; statement = "" }
    /^(\*|#|$)/ { done() }
    /^\* / { statement = $0; next }
    statement != "" { statement = statement " " $0 }
    END { done() }' "$document")
  [ -z "$without" ] || fail "these name no test:" "$without"
  named=$(tr -s ' \n' ' ' <"$document" | grep -oE '`test: [^`]+`' | sed -E 's/^`test: (.*)`$/\1/' | sort -u)
  unknown=$(comm -23 <(echo "$named") <(sort -u <<<"$known"))
  [ -z "$unknown" ] || fail "there are no tests of these names:" "$unknown"
}

"$@"
