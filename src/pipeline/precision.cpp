#include "daguerre/pipeline/precision.hpp"

#include <array>
#include <string>

#include "daguerre/error.hpp"

namespace daguerre {
namespace {

constexpr std::array<std::string_view, 4> names{"auto", "f32", "bf16", "int8"};

}  // namespace

std::string_view short_name(Precision precision) noexcept {
  return names[static_cast<std::size_t>(precision)];
}

Precision precision_called(std::string_view short_name) {
  std::string known;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == short_name) return static_cast<Precision>(i);
    known += (known.empty() ? "" : ", ") + std::string(names[i]);
  }
  throw ArgumentError("precision",
                      "there is no precision \"" + std::string(short_name) + "\"; known are: " + known);
}

}  // namespace daguerre
