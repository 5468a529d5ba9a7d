#include "pipeline/memory_plan.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "pipeline/name.hpp"

namespace daguerre {
namespace {

using ops::WeightPlacement;

std::uint64_t resident(const PartSize& part, const Keeping& keeping) {
  return keeping.placement == WeightPlacement::mapped ? part.mapped : part.packed;
}

/// What `options` allow a part, the best first and the smallest last.
std::vector<Keeping> choices(const PartSize& part, const MemoryOptions& options) {
  std::vector<Keeping> result;
  const bool may_drop = part.droppable && options.residency != Residency::kept;
  const bool may_keep = !part.droppable || options.residency != Residency::when_needed;
  if (may_keep && options.weights != WeightStorage::mapped)
    result.push_back({.placement = WeightPlacement::packed});
  if (may_keep && options.weights != WeightStorage::packed)
    result.push_back({.placement = WeightPlacement::mapped});
  // What is used once a picture is not worth several times its memory.
  const bool swells = part.packed / 2 > part.stored && part.stored > 0;
  if (swells && part.kind != Part::Kind::denoiser && result.size() == 2) std::swap(result[0], result[1]);
  if (may_drop)
    result.push_back({.placement = options.weights == WeightStorage::packed ? WeightPlacement::packed
                                                                            : WeightPlacement::mapped,
                      .when_needed = true});
  return result;
}

std::vector<Keeping> smallest(std::span<const PartSize> parts, const MemoryOptions& options) {
  std::vector<Keeping> result;
  for (const auto& part : parts) result.push_back(choices(part, options).back());
  return result;
}

/// What to say instead, so that the parts fit.
std::string remedy(std::span<const PartSize> parts, const MemoryOptions& options) {
  const auto least = [&](WeightStorage weights, Residency residency) {
    return peak(parts, smallest(parts, {.weights = weights, .residency = residency}));
  };
  const auto free_to_choose = least(WeightStorage::automatic, Residency::automatic);
  if (free_to_choose > options.limit) return "no other option takes less than " + megabytes(free_to_choose);
  if (least(options.weights, Residency::automatic) <= options.limit) return "residency automatic would fit";
  if (least(WeightStorage::automatic, options.residency) <= options.limit)
    return "weights automatic would fit";
  return "weights automatic and residency automatic would fit";
}

/// The parts' numbers in the order in which they choose.
std::vector<std::size_t> order_of(std::span<const PartSize> parts) {
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const bool a_first = parts[a].kind == Part::Kind::denoiser,
               b_first = parts[b].kind == Part::Kind::denoiser;
    return a_first != b_first ? a_first : parts[a].packed < parts[b].packed;
  });
  return order;
}

}  // namespace

PartSize size_of(Part::Kind kind, const weights::StateDict& weights, Precision precision) {
  PartSize size{.kind = kind};
  const auto width = packed_size(precision);
  std::uint64_t small = 0, largest = 0;
  for (const auto& name : weights.names()) {
    const auto* info = weights.find(name);
    const auto elements = static_cast<std::uint64_t>(info->shape.size());
    const std::uint64_t stored = info->end - info->begin;
    size.packed += elements * width;
    size.stored += stored;
    if (info->shape.rank() < 2)
      small += elements * sizeof(float);
    else
      largest = std::max(largest, stored + elements * width);
  }
  size.mapped = precision == Precision::int8 ? size.packed : std::min(size.packed, small + largest);
  return size;
}

std::uint64_t peak(std::span<const PartSize> parts, std::span<const Keeping> kept) {
  std::uint64_t always = 0, texts = 0, autoencoder = 0;
  for (std::size_t i = 0; i < parts.size(); ++i)
    (!kept[i].when_needed                       ? always
     : parts[i].kind == Part::Kind::autoencoder ? autoencoder
                                                : texts) += resident(parts[i], kept[i]);
  return always + std::max(texts, autoencoder);
}

std::vector<Keeping> plan_memory(std::span<const PartSize> parts, const MemoryOptions& options,
                                 std::optional<std::uint64_t> available) {
  auto kept = smallest(parts, options);
  const auto least = peak(parts, kept);
  if (options.limit != 0 && least > options.limit)
    throw ArgumentError(pipeline_name, "memory_limit is " + megabytes(options.limit) +
                                           ", the weights take about " + megabytes(least) + " at once, " +
                                           megabytes(least - options.limit) + " too much; " +
                                           remedy(parts, options));
  constexpr std::uint64_t most_margin = 4'000'000'000;
  const bool of_machine = options.limit == 0;
  std::uint64_t room = options.limit;
  if (of_machine)
    room = available ? *available - std::min(*available / 4, most_margin)
                     : std::numeric_limits<std::uint64_t>::max();
  for (const auto i : order_of(parts)) {
    for (const auto& choice : choices(parts[i], options)) {
      const auto last = std::exchange(kept[i], choice);
      if (peak(parts, kept) <= room) break;
      kept[i] = last;
    }
    if (of_machine && parts[i].kind == Part::Kind::denoiser && kept[i].placement == WeightPlacement::mapped)
      room -= std::min(room, parts[i].stored);
  }
  return kept;
}

std::string megabytes(std::uint64_t bytes) {
  return std::to_string(bytes / 1'000'000 + (bytes % 1'000'000 == 0 ? 0 : 1)) + " MB";
}

}  // namespace daguerre
