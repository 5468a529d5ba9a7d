#!/usr/bin/env bash
# What holds the layers of docs/architecture.md apart, see CMakeLists.txt.
#
#     check.sh SECTION PROJECT_FOLDER
set -euo pipefail

fail() {
  echo "FAILED: $1"
  shift
  printf '%s\n' "$@"
  exit 1
}

# Which layers a file of each layer may include, its own apart.
declare -A below=(
  [core]=""
  [config]="core"
  [media]="core"
  [ops]="core"
  [text]="core config"
  [samplers]="core config"
  [weights]="core config ops"
  [nn]="core config ops weights"
  [models]="core config ops weights nn"
  [metrics]="core ops"
  [pipeline]="core config media ops text samplers weights nn models metrics"
  [evaluation]="core config media ops text samplers weights nn models metrics pipeline"
)

# The sources of a layer, public and internal.
files_of() {
  local folder
  for folder in "include/daguerre/$1" "src/$1"; do
    if [ -d "$folder" ]; then find "$folder" -type f \( -name '*.hpp' -o -name '*.cpp' -o -name '*.inc' \); fi
  done
}

# Every folder is a layer, and none includes one that is not below it; the facade is included by none.
includes() {
  local layer folder name allowed found=""
  cd "$1"
  [ -n "$(files_of core)" ] || fail "no sources in $1"
  for folder in include/daguerre/*/ src/*/; do
    name=$(basename "$folder")
    [ -n "${below[$name]+known}" ] || fail "$folder is none of the layers: ${!below[*]}"
  done
  for layer in "${!below[@]}"; do
    allowed=$(tr ' ' '|' <<<"$layer ${below[$layer]}")
    found+=$(files_of "$layer" | xargs -r grep -nHE \
      "^ *# *include *[\"<](daguerre/)?(daguerre\.hpp|($(tr ' ' '|' <<<"${!below[*]}"))/)" |
      grep -vE "# *include *[\"<](daguerre/)?(${allowed%|})/" || true)
  done
  [ -z "$found" ] || fail "these include a layer that is not below their own:" "$found"
}

# Networks and their layers leave the elements to the operations, so that an engine may keep them where it likes.
element_memory() {
  local found
  cd "$1"
  [ -n "$(files_of nn)" ] && [ -n "$(files_of models)" ] || fail "no sources in $1"
  found=$({ files_of nn; files_of models; } | xargs grep -nHE '(\.|->) *(data|span|clone) *\( *\)|core/eigen\.hpp' || true)
  [ -z "$found" ] || fail "these reach into tensors; let an operation in ops/ do it:" "$found"
}

# Both checks find what they are for: a copy of the sources is broken in each way, one after the other.
finds_what_is_broken() {
  local line file section
  copy=$(mktemp -d)  # for the trap, too
  trap 'rm -rf "$copy"' EXIT
  cp -r "$1/include" "$1/src" "$copy/"
  (includes "$copy" && element_memory "$copy") || fail "the copy is broken from the beginning"
  while read -r section file line; do
    cp "$copy/$file" "$copy/kept"
    echo "$line" >>"$copy/$file"
    if ("$section" "$copy") >/dev/null; then fail "$section does not see this in $file:" "$line"; fi
    mv "$copy/kept" "$copy/$file"
  done <<'BROKEN'
includes include/daguerre/core/tensor.hpp #include "daguerre/ops/context.hpp"
includes include/daguerre/ops/norm.hpp #include "daguerre/nn/norm.hpp"
includes include/daguerre/nn/linear.hpp #include <daguerre/models/denoisers/dit.hpp>
includes include/daguerre/samplers/sampler.hpp #include "daguerre/media/image.hpp"
includes include/daguerre/models/denoisers/dit.hpp #include "daguerre/daguerre.hpp"
includes src/weights/names.hpp #include "pipeline/plan.hpp"
includes src/metrics/psnr.cpp # include "daguerre/models/denoisers/dit.hpp"
element_memory include/daguerre/nn/linear.hpp inline float first(const Tensor<float>& x) { return x.data()[0]; }
element_memory include/daguerre/models/denoisers/dit.hpp inline float first(const Tensor<float>* x) { return x->data()[0]; }
element_memory src/nn/linear.cpp for (float& value : x.span()) value = 0.0f;
element_memory src/models/denoisers/dit.cpp const auto copy = x.clone();
element_memory src/nn/norm.cpp #include "daguerre/core/eigen.hpp"
BROKEN
  mkdir "$copy/src/engines"
  if (includes "$copy") >/dev/null; then fail "includes does not see a folder that is no layer"; fi
}

"$@"
