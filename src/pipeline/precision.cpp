#include "daguerre/pipeline/precision.hpp"

#include <array>
#include <span>
#include <string>

#include "daguerre/core/error.hpp"

namespace daguerre {
namespace {

constexpr std::array<std::string_view, 4> names{"auto", "f32", "bf16", "int8"};
constexpr std::array<std::string_view, 3> storages{"auto", "packed", "mapped"};
constexpr std::array<std::string_view, 3> residencies{"auto", "kept", "when-needed"};

/// The place of `name` among `known`.
std::size_t index_of(std::string_view name, std::span<const std::string_view> known, const char* what) {
  std::string list;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (known[i] == name) return i;
    list += (list.empty() ? "" : ", ") + std::string(known[i]);
  }
  throw ArgumentError(
      what, "there is no " + std::string(what) + " \"" + std::string(name) + "\"; known are: " + list);
}

}  // namespace

std::string_view short_name(Precision precision) noexcept {
  return names[static_cast<std::size_t>(precision)];
}

Precision precision_called(std::string_view short_name) {
  return static_cast<Precision>(index_of(short_name, names, "precision"));
}

std::string_view short_name(WeightStorage weights) noexcept {
  return storages[static_cast<std::size_t>(weights)];
}

WeightStorage weight_storage_called(std::string_view short_name) {
  return static_cast<WeightStorage>(index_of(short_name, storages, "weights"));
}

std::string_view short_name(Residency residency) noexcept {
  return residencies[static_cast<std::size_t>(residency)];
}

Residency residency_called(std::string_view short_name) {
  return static_cast<Residency>(index_of(short_name, residencies, "residency"));
}

}  // namespace daguerre
